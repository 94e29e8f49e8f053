import type { UpdateSteps } from './update-steps.js';

/**
 * New labels of enums that another statement names. PostgreSQL 14 to 18 add labels in a transaction, and refuse them in it
 * until they are committed (SQLSTATE 55P04).
 */
export function usedLabels({ actions, deltas }: Pick<UpdateSteps, 'actions' | 'deltas'>): string[] {
  const added = deltas.flatMap((delta) => {
    if (delta.verb !== 'set' || delta.id.kind !== 'type' || delta.attr !== 'values') return [];
    const [to, from] = [delta.to, delta.from];
    return Array.isArray(to) && Array.isArray(from) ? to.filter((label) => !from.includes(label)).map(String) : [];
  });
  const [adding, others] = [
    actions.filter(({ transactionality }) => transactionality === 'commitBoundaryAfter'),
    actions.filter(({ transactionality }) => transactionality === 'transactional'),
  ];
  const names = (label: string, { sql }: { readonly sql: string }) => sql.includes(`'${label.replaceAll("'", "''")}'`);
  return added.filter((label) => [adding, others].every((some) => some.some((action) => names(label, action))));
}

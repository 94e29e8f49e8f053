import { listed } from '../../../listed.js';
import type { TriggerReport } from '../../../triggers/trigger-report.js';
import { ok, type RunCheck } from '../check.js';

/** What `verify-db-triggers` finds, in the same words and by the same work. */
export const checkTriggerDrift: RunCheck = async (_db, { environment, signal }) => {
  // Loaded here: reading the declarations of triggers is no business of drop-all-tables, which is in the same module.
  const { verifyTriggers } = await import('../../trigger-drift.js');
  const {
    ok: isInOrder,
    triggers,
    problems,
  } = await verifyTriggers({ env: environment, ...(signal === undefined ? {} : { signal }) });
  const drifted = triggers.filter(({ isDrift }) => isDrift);
  if (isInOrder) return ok(0, inOrder(triggers));
  const names = drifted.map(({ schema, table, name, state }) => `${name} on ${schema}.${table} (${state})`);
  // what was changed by hand is somebody's work: look first
  const isByHand = drifted.some(({ state }) => state === 'manual_override');
  return {
    status: 'warning',
    value: drifted.length,
    detail: [...(names.length === 0 ? [] : [`Not as declared and installed: ${listed(names)}.`]), ...problems].join(
      ' ',
    ),
    fix: `manage_db ${isByHand ? 'diff-db-triggers' : 'verify-db-triggers --fix'} --env ${environment}`,
  };
};

/** What nobody has declared or registered is somebody else's, and no drift. */
function inOrder(triggers: readonly TriggerReport[]): string {
  if (triggers.length === 0) return 'There are no triggers.';
  const others = triggers.filter(({ state }) => state === 'unknown').length;
  const ours = triggers.length - others;
  const more = ours === 0 ? '' : ' more';
  return [
    ours === 0
      ? 'No trigger is declared.'
      : `${ours === 1 ? 'The one declared trigger is' : `All ${ours} declared triggers are`} as declared and installed.`,
    ...(others === 0 ? [] : [`${others === 1 ? `One${more} is` : `${others}${more} are`} somebody else's.`]),
  ].join(' ');
}

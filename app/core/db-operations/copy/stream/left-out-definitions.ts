import type { Entry, EntryKind } from '../../database-state/contents.js';

/** Whether it holds passwords to other servers: a copy that uses it would work there in the name of the source. */
export function holdsPasswords({ kind, said }: Entry): boolean {
  return KEYS.includes(kind) || isOfSubscription(kind, said);
}

const KEYS: readonly EntryKind[] = ['USER MAPPING', 'SUBSCRIPTION', 'SUBSCRIPTION TABLE'];

/** The entries of an archive without those that are left out, and without what cannot be there without them: their comments. */
export function withoutLeftOut(entries: readonly Entry[], isLeftOut: (entry: Entry) => boolean): Entry[] {
  const gone = new Set<number>();
  return entries.filter((entry) => {
    const { id, needs } = entry;
    const isGone = isLeftOut(entry) || needs.some((need) => gone.has(need));
    if (isGone) gone.add(id);
    return !isGone;
  });
}

function isOfSubscription(kind: EntryKind, said: string): boolean {
  return (kind === 'COMMENT' || kind === 'SECURITY LABEL') && said.startsWith('- SUBSCRIPTION ');
}

import type { TablePart } from '../../../../database/catalog/table-parts.js';
import type { Entry } from '../../database-state/contents.js';
import type { Definitions } from './definitions.js';

/** What of an archive is made when, after the rows. */
export interface Order {
  /** By the table whose rows are enough for it, by its oid. */
  readonly early: ReadonlyMap<number, { readonly keys: readonly Entry[]; readonly indexes: readonly Entry[] }>;
  /** Triggers that fire for each row that comes: none, where they come after the rows. */
  readonly triggers: readonly Entry[];
  /** What foreign keys may need, and what stands before them. */
  readonly beforeKeys: readonly Entry[];
  readonly foreignKeys: readonly { readonly entry: Entry; readonly between: readonly number[] }[];
  readonly afterKeys: readonly Entry[];
  readonly grants: readonly Entry[];
  /** Materialized views are computed when everything is there and granted that they are computed from. */
  readonly refreshs: readonly Entry[];
  /** Last of all, as they would fire. */
  readonly eventTriggers: readonly Entry[];
}

export interface WhatIsKnown {
  readonly parts: readonly TablePart[];
  /** The oids of the tables that the copy knows, where the definitions come from. */
  readonly copied: ReadonlySet<number>;
  /** When triggers come. */
  readonly triggers: 'after' | 'before';
}

export function orderOf({ after, grants }: Definitions, { parts, copied, triggers: when }: WhatIsKnown): Order {
  const partOf = new Map(parts.map((part) => [`${part.kind} ${part.oid}`, part]));
  const known = (entry: Entry): TablePart | undefined => partOf.get(`${entry.kind} ${entry.oid}`);
  const early = earlyEntries(after, (entry) => {
    const part = known(entry);
    return part !== undefined && part.kind !== 'FK CONSTRAINT' && copied.has(part.table) ? part.table : null;
  });
  const notEarly = after.filter(({ id }) => !early.has(id));
  const notEarlyIds = new Set(notEarly.map(({ id }) => id));
  const triggers = notEarly.filter(
    ({ kind, needs }) => when === 'before' && kind === 'TRIGGER' && !needs.some((need) => notEarlyIds.has(need)),
  );
  const late = notEarly.filter((entry) => !triggers.includes(entry));
  const isRefresh = ({ kind }: Entry) => kind === 'MATERIALIZED VIEW DATA';
  const rest = late.filter((entry) => !isRefresh(entry) && !isOfEventTrigger(entry));
  const keys = rest.filter(({ kind }) => kind === 'FK CONSTRAINT');
  const keyIds = new Set(keys.map(({ id }) => id));
  const others = rest.filter(({ id }) => !keyIds.has(id));
  const lastKey = rest.findLastIndex(({ id }) => keyIds.has(id));
  const head = new Set(rest.slice(0, lastKey + 1).map(({ id }) => id));
  const isBefore = ({ id, needs }: Entry) => head.has(id) && !needs.some((need) => keyIds.has(need));
  return {
    early: byTable(after, early),
    triggers,
    beforeKeys: others.filter(isBefore),
    foreignKeys: keys.map((entry) => ({ entry, between: known(entry)?.between ?? [] })),
    afterKeys: others.filter((entry) => !isBefore(entry)),
    grants,
    refreshs: late.filter(isRefresh),
    eventTriggers: late.filter(isOfEventTrigger),
  };
}

/**
 * The entries that need nothing but their table and what is made before the rows, or others of the same table that are made
 * before them.
 */
function earlyEntries(after: readonly Entry[], tableOf: (entry: Entry) => number | null): ReadonlyMap<number, number> {
  const later = new Set(after.map(({ id }) => id));
  const early = new Map<number, number>();
  for (const entry of after) {
    const table = tableOf(entry);
    if (table !== null && entry.needs.every((need) => !later.has(need) || early.get(need) === table))
      early.set(entry.id, table);
  }
  return early;
}

function byTable(after: readonly Entry[], early: ReadonlyMap<number, number>): Order['early'] {
  const found = new Map<number, { keys: Entry[]; indexes: Entry[] }>();
  for (const entry of after) {
    const table = early.get(entry.id);
    if (table === undefined) continue;
    const of = found.get(table) ?? { keys: [], indexes: [] };
    found.set(table, of);
    (entry.kind === 'INDEX' ? of.indexes : of.keys).push(entry);
  }
  return found;
}

export function isOfEventTrigger({ kind, said }: Entry): boolean {
  return (
    kind === 'EVENT TRIGGER' ||
    ((kind === 'COMMENT' || kind === 'SECURITY LABEL') && said.startsWith('- EVENT TRIGGER '))
  );
}

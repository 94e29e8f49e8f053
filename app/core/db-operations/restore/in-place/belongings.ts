import type { Entry, EntryKind } from '../../database-state/contents.js';
import type { Archive, ArchivedKey, ArchivedTable } from './archive.js';
import type { Named } from './parsed-statements.js';

/** Entries of an archive that are made again, in the order of their making. */
export interface Belongings {
  /** Tables, and what they need to take rows. */
  readonly before: readonly Entry[];
  /** Rows, by table. */
  readonly rows: readonly Entry[];
  /** Indexes and keys, as soon as the rows are there. */
  readonly indexes: readonly Entry[];
  /** Partitions of tables that were there: the indexes of both are matched then. */
  readonly attachments: readonly Entry[];
  /** Foreign keys, triggers, policies and all the rest. */
  readonly after: readonly Entry[];
  /** What cannot be made because what it needs is not there, in sentences. */
  readonly leftOut: readonly string[];
}

export interface Wanted {
  /** Tables that are made again. */
  readonly tables: readonly ArchivedTable[];
  /** Schemas that are made again with everything in them. */
  readonly schemas: readonly { readonly id: number; readonly name: string }[];
  /** Schemas that are made for the tables alone. */
  readonly bareSchemas: readonly { readonly id: number }[];
  /** Foreign keys of tables that are there, which have gone with what they point at. */
  readonly lostKeys: readonly ArchivedKey[];
  /** Foreign keys of the tables that point at what is nowhere. */
  readonly impossibleKeys: readonly ArchivedKey[];
  /** Publications that there are. */
  readonly publications: readonly string[];
}

/** They say something about one object, and name it by depending on it. */
const REMARKS: readonly EntryKind[] = ['COMMENT', 'ACL', 'SECURITY LABEL', 'STATISTICS DATA'];

/** They are a part of one relation, and may depend on others. */
const PARTS: readonly EntryKind[] = [
  ...(['DEFAULT', 'CONSTRAINT', 'CHECK CONSTRAINT', 'FK CONSTRAINT', 'TRIGGER', 'RULE', 'POLICY'] as const),
  ...(['ROW SECURITY', 'INDEX', 'STATISTICS', 'SEQUENCE', 'SEQUENCE OWNED BY', 'SEQUENCE SET', 'TABLE DATA'] as const),
  ...(['MATERIALIZED VIEW DATA', 'PUBLICATION TABLE'] as const),
];

/** An index is whole, and matched with another, only when those of all partitions are attached to it. */
const INDEXES: readonly EntryKind[] = ['INDEX', 'CONSTRAINT', 'CHECK CONSTRAINT', 'STATISTICS', 'INDEX ATTACH'];
const AFTER: readonly EntryKind[] = [
  ...(['FK CONSTRAINT', 'TRIGGER', 'RULE', 'POLICY', 'ROW SECURITY'] as const),
  ...(['PUBLICATION TABLE', 'MATERIALIZED VIEW DATA', 'STATISTICS DATA'] as const),
];

/**
 * Everything that belongs to tables, found by what depends on what in the archive: no name and no SQL is guessed from.
 */
export function belongingsOf(archive: Archive, all: readonly ArchivedTable[], wanted: Wanted): Belongings {
  const made = new Set([...wanted.tables, ...wanted.schemas].map(({ id }) => id));
  const bare = new Set(wanted.bareSchemas.map(({ id }) => id));
  const tables = new Map(all.map((table) => [table.id, table]));
  const impossible = new Set(wanted.impossibleKeys.map(({ id }) => id));
  const lost = new Set(wanted.lostKeys.map(({ id }) => id));
  for (let before = -1; before < made.size; ) {
    before = made.size;
    for (const entry of archive.entries) if (belongs(entry)) made.add(entry.id);
  }
  const entries = archive.entries.filter(({ id }) => made.has(id) || bare.has(id));
  const stages = new Map<number, Stage>();
  for (const entry of entries) stages.set(entry.id, stageOf(entry));
  const at = (stage: Stage) => entries.filter(({ id }) => stages.get(id) === stage);
  return {
    before: at('before'),
    rows: at('rows'),
    indexes: at('indexes'),
    attachments: at('attachments'),
    after: at('after'),
    leftOut: wanted.impossibleKeys.map(
      ({ name, table, referenced }) =>
        `The foreign key ${name} of ${text(table)} was not made: ${text(referenced)} is not there.`,
    ),
  };

  function belongs(entry: Entry): boolean {
    const { id, kind, needs, said } = entry;
    if (impossible.has(id)) return false;
    if (lost.has(id)) return true;
    if (wanted.schemas.some((schema) => needs.includes(schema.id) && isIn(entry, schema.name))) return true;
    if (REMARKS.includes(kind)) return needs.some((need) => made.has(need) || bare.has(need));
    if (kind === 'TABLE ATTACH') return needs.some((need) => made.has(need) && tables.has(need));
    // of a partition that is attached to a table which was there, they are matched by the attaching
    if (kind === 'INDEX ATTACH') {
      const both = needs.filter((need) => tables.has(need));
      return (both.length > 0 ? both : needs).every((need) => made.has(need));
    }
    if (kind === 'PUBLICATION TABLE' && !wanted.publications.some((name) => said.includes(` ${name} `))) return false;
    if (!PARTS.includes(kind)) return false;
    const whole = wholeOf(entry);
    return whole !== null && made.has(whole);
  }

  /** The relation that it is a part of. */
  function wholeOf({ kind, needs, said }: Entry): number | null {
    if (kind.startsWith('SEQUENCE ')) return needs[0] ?? null;
    const candidates = needs.flatMap((need) => tables.get(need) ?? []);
    const own = candidates
      .filter((table) => said.startsWith(`${oneLine(table.schema)} ${oneLine(table.name)} `))
      .sort((one, other) => text(other).length - text(one).length);
    return own[0]?.id ?? candidates[0]?.id ?? needs.find((need) => made.has(need)) ?? null;
  }

  function stageOf({ kind, needs }: Entry): Stage {
    if (kind === 'TABLE DATA') return 'rows';
    if (kind === 'TABLE ATTACH') return needs.every((need) => made.has(need)) ? 'before' : 'attachments';
    if (INDEXES.includes(kind)) return 'indexes';
    if (AFTER.includes(kind)) return 'after';
    const later = needs.flatMap((need) => stages.get(need) ?? []);
    // a view that groups by a key is made after the key
    if (REMARKS.includes(kind)) return later.find((stage) => stage !== 'before') ?? 'before';
    return later.some((stage) => stage === 'indexes' || stage === 'after') ? 'after' : 'before';
  }
}

type Stage = 'before' | 'rows' | 'indexes' | 'attachments' | 'after';

/** What needs a schema may lie in another one. */
function isIn({ kind, said }: Entry, schema: string): boolean {
  const name = oneLine(schema);
  if (kind === 'EXTENSION') return true;
  return kind === 'other' ? said.includes(` ${name} `) : said.startsWith(`${name} `);
}

function text({ schema, name }: Named): string {
  return `${schema}.${name}`;
}

/** As pg_restore lists it. */
function oneLine(name: string): string {
  return name.replaceAll(/[\n\r]/g, ' ');
}

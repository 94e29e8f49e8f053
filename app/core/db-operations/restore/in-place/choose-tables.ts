import { ManageDbError } from '../../../errors.js';
import { nearest } from '../../../nearest.js';
import { backupCommand } from '../../backup/backup-command.js';
import { meant, qualified, spellings } from '../../inspection/find-relation.js';
import type { Manifest, TableRows } from '../../manifest/manifest.js';
import type { Archive, ArchivedTable } from './archive.js';

/** What somebody wants to have back, as they type it: tables, or whole schemas. */
export interface WantedPart {
  readonly tables: readonly string[];
  readonly schemas: readonly string[];
}

/** A table of a backup that is to be restored. */
export interface ChosenTable extends ArchivedTable {
  /** What the manifest says of it; `null` for a partitioned table, which has no rows of its own. */
  readonly expected: TableRows | null;
  /** The table that it is a partition of, where that one is restored too. */
  readonly parent: ArchivedTable | null;
}

export interface Chosen {
  readonly tables: readonly ChosenTable[];
  /** The schemas that were asked for. */
  readonly schemas: readonly string[];
}

/**
 * The tables of a backup that are meant: a partitioned table with all its partitions, a schema with all its tables. Names
 * are taken as they are first, and folded as PostgreSQL folds them then.
 *
 * @throws ManageDbError `NOT_FOUND` with the nearest name, `USAGE` for one that several schemas have, for tables of
 *   manage_db, and for those whose rows were left out of the backup
 */
export async function chooseTables(archive: Archive, manifest: Manifest, wanted: WantedPart): Promise<Chosen> {
  const tables = await archive.tables();
  const schemas = [...new Set(wanted.schemas.map((typed) => findSchema(typed, tables, manifest)))];
  const named = wanted.tables.map((typed) => findTable(typed, tables, manifest));
  const roots = [...named, ...tables.filter(({ schema }) => schemas.includes(schema))];
  const parents = partitionsOf(archive, tables);
  const ids = new Set(roots.map(({ id }) => id));
  const isBelow = ({ id }: ArchivedTable): boolean => {
    for (let parent = parents.get(id); parent !== undefined; parent = parents.get(parent.id)) {
      if (ids.has(parent.id)) return true;
    }
    return false;
  };
  const chosen = tables.filter((table) => ids.has(table.id) || isBelow(table));
  const ours = [...schemas, ...chosen.map(({ schema }) => schema)].find((schema) => schema === 'manage_db');
  if (ours !== undefined) throw refusal('What manage_db knows about a database is not restored inside it.');
  const all = new Set(chosen.map(({ id }) => id));
  return {
    schemas,
    tables: chosen.map((table) => {
      const parent = parents.get(table.id) ?? null;
      const expected = table.isPartitioned ? null : expectedOf(table, manifest);
      return { ...table, expected, parent: parent !== null && all.has(parent.id) ? parent : null };
    }),
  };
}

/** By partition, the table that it is a partition of. */
function partitionsOf(archive: Archive, tables: readonly ArchivedTable[]): Map<number, ArchivedTable> {
  const byId = new Map(tables.map((table) => [table.id, table]));
  return new Map(
    archive.ofKind('TABLE ATTACH').flatMap(({ needs }): [number, ArchivedTable][] => {
      // the partition, then what it is attached to
      const [child, parent] = needs.flatMap((id) => byId.get(id) ?? []);
      return child === undefined || parent === undefined ? [] : [[child.id, parent]];
    }),
  );
}

function expectedOf({ schema, name }: ArchivedTable, { id, tables }: Manifest): TableRows {
  const expected = tables.find((table) => table.schema === schema && table.name === name);
  if (expected !== undefined && expected.rows !== null) return expected;
  throw refusal(`Backup ${id} has no rows of ${qualified({ schema, name })}.`);
}

function findTable(typed: string, tables: readonly ArchivedTable[], manifest: Manifest): ArchivedTable {
  const matches = meant(tables, typed);
  const [match] = matches;
  if (match === undefined) throw notFound(typed, tables, manifest);
  if (matches.length === 1) return match;
  const candidates = matches.map(qualified);
  throw new ManageDbError(
    'USAGE',
    `${typed} is in ${matches.length} schemas of backup ${manifest.id}: ${candidates.join(', ')}.`,
    {
      hint: `Name the schema too: --table '${candidates[0]}'`,
      details: { table: typed, candidates },
    },
  );
}

function notFound(typed: string, tables: readonly ArchivedTable[], { id, environment }: Manifest): ManageDbError {
  const suggestion = typed.includes('.')
    ? nearest(typed, tables.map(qualified))
    : nearest(
        typed,
        tables.map(({ name }) => name),
      );
  const meant = tables.find(({ name }) => name === suggestion);
  return new ManageDbError('NOT_FOUND', `Backup ${id} has no table ${typed}.`, {
    hint:
      suggestion === null
        ? `What it has: ${backupCommand(`show-backup ${id}`, { environment })}`
        : `Did you mean ${meant === undefined ? suggestion : qualified(meant)}?`,
    details: { id, table: typed, suggestion },
  });
}

function findSchema(typed: string, tables: readonly ArchivedTable[], { id }: Manifest): string {
  const names = [...new Set(tables.map(({ schema }) => schema))];
  const isMeant = (word: string) => (name: string) => spellings(name).includes(word);
  const found = names.find(isMeant(typed)) ?? names.find(isMeant(typed.toLowerCase()));
  if (found !== undefined) return found;
  const suggestion = nearest(typed, names);
  throw new ManageDbError('NOT_FOUND', `Backup ${id} has no tables in a schema ${typed}.`, {
    hint: suggestion === null ? `It has tables in: ${names.join(', ')}` : `Did you mean --schema '${suggestion}'?`,
    details: { id, schema: typed, suggestion },
  });
}

function refusal(message: string): ManageDbError {
  return new ManageDbError('USAGE', message, { hint: 'Choose other tables, or restore the whole backup.' });
}

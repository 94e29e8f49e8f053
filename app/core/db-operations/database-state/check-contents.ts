import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import { shortened } from '../../listed.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import type { Manifest } from '../manifest/manifest.js';
import { readDrift } from '../trigger-work/read-drift.js';
import { triggersChecksumOf } from './database-description.js';
import { readLaggingSequences } from './lagging-sequences.js';
import { searchPathOf } from './search-path.js';
import { readUnswitched } from './unswitched-constraints.js';

export interface ContentCheck {
  readonly manifest: Manifest;
  /** The environment that the contents come to. */
  readonly environment: string;
  readonly controls: OperationControls;
}

/** What would surprise, in sentences: it may have been so when the backup was made. */
export interface Surprises {
  /** Behind the column that they belong to. */
  readonly sequences: readonly string[];
  /** Materialized views without data, invalid indexes, constraints that are not validated. */
  readonly unfinished: readonly string[];
  /** Not as they are registered. */
  readonly triggers: readonly string[];
}

/** What would surprise in contents, whatever they are of. */
export interface ContentLook {
  /** Of the database that they are from. */
  readonly searchPath: string;
  /** The environment that they come to. */
  readonly environment: string;
  readonly controls: OperationControls;
}

/** Looks for what would surprise, without anything to compare with. In sentences; changes nothing. */
export function lookForSurprises(contents: Queryable, look: ContentLook): Promise<string[]> {
  return looking(contents, look, async (found) => {
    const { sequences, unfinished, triggers } = await found();
    return [...sequences, ...unfinished, ...triggers];
  });
}

/** {@link findSurprises} as warnings. */
export async function checkContents(contents: Queryable, check: ContentCheck): Promise<string[]> {
  const { sequences, unfinished, triggers } = await findSurprises(contents, check);
  return [...sequences, ...unfinished, ...triggers];
}

/**
 * Compares restored contents with what the manifest says beyond the rows, and looks for what would surprise. Changes nothing.
 *
 * @param contents a connection to the restored database
 * @throws ManageDbError `BACKUP_INVALID` where the registry of triggers is another one
 */
export async function findSurprises(
  contents: Queryable,
  { manifest, environment, controls }: ContentCheck,
): Promise<Surprises> {
  const look = { searchPath: searchPathOf(manifest.properties), environment, controls };
  return looking(contents, look, async (found) => {
    if (hasRegistry(manifest)) await refuseOtherTriggers(contents, manifest);
    const { triggers, ...others } = await found();
    const constraints = await readUnswitched(contents, manifest.constraintTriggers ?? []);
    return { ...others, triggers: [...triggers, ...firstOf(constraints)] };
  });
}

async function looking<T>(
  contents: Queryable,
  { searchPath, environment, controls }: ContentLook,
  work: (found: () => Promise<Surprises>) => Promise<T>,
): Promise<T> {
  stopIfAborted(controls.signal);
  controls.onProgress?.({ step: 'checking triggers, sequences and indexes' });
  await contents.query('begin read only');
  try {
    // a table of which policies hide rows is an error, not a table with a smaller maximum
    await contents.query('set local row_security = off');
    return await work(async () => ({
      sequences: firstOf(await readLaggingSequences(contents, searchPath, controls)),
      unfinished: firstOf(await readUnfinished(contents)),
      triggers: firstOf(await readStrangeTriggers(contents, environment)),
    }));
  } finally {
    await contents.query('rollback');
  }
}

const MOST_OF_A_KIND = 20;

function firstOf(warnings: readonly string[]): string[] {
  return shortened(warnings, MOST_OF_A_KIND, (rest) => `And ${rest} more of that kind.`);
}

/** The registry is rows. */
function hasRegistry({ contents, selection }: Manifest): boolean {
  return contents === 'all' && !selection.excludedData.some((table) => table.startsWith('manage_db.'));
}

async function refuseOtherTriggers(contents: Queryable, { id, triggersChecksum }: Manifest): Promise<void> {
  if ((await triggersChecksumOf(contents)) === triggersChecksum) return;
  throw new ManageDbError(
    'BACKUP_INVALID',
    `What was restored from ${id} is not what was backed up: the registry of triggers says something else.`,
    { hint: 'Choose another backup: manage_db list-all-backups', details: { id } },
  );
}

/** What is registered and not as it is registered, enabled modes included. What is declared by now is no matter here. */
async function readStrangeTriggers(contents: Queryable, environment: string): Promise<string[]> {
  const { triggers } = await readDrift(contents, [], { environment });
  return triggers
    .map(({ report }) => report)
    .filter(({ state, isDrift }) => isDrift && ['dropped', 'manual_override', 'disabled'].includes(state))
    .map(
      ({ schema, table, name, state }) => `The trigger ${name} of ${schema}.${table} is not as registered: ${state}.`,
    );
}

async function readUnfinished(contents: Queryable): Promise<string[]> {
  const { rows } = await contents.query<{ what: string }>(UNFINISHED);
  return rows.map(({ what }) => what);
}

const UNFINISHED = `
  select pg_catalog.format('The materialized view %I.%I is not populated.', n.nspname, c.relname) as what
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'm' and not c.relispopulated
  union all
  select pg_catalog.format('The index %I.%I is invalid.', n.nspname, c.relname)
  from pg_catalog.pg_index i
  join pg_catalog.pg_class c on c.oid = i.indexrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where not (i.indisvalid and i.indisready)
  union all
  select pg_catalog.format('The constraint %I of %I.%I is not validated.', k.conname, n.nspname, c.relname)
  from pg_catalog.pg_constraint k
  join pg_catalog.pg_class c on c.oid = k.conrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where not k.convalidated
  order by 1`;

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import { type ClientTools, runOffline } from '../../../../services/client-tools.js';
import { DUMP_NAMES, dumpDatabase } from '../../backup/dump/dump.js';
import { isOurGrant } from '../../backup/dump/load.js';
import { isOfLeftOutExtension, type LeftOutParts, leavingOut } from '../../backup/left-out-parts.js';
import { type Entry, parseContents } from '../../database-state/contents.js';
import { readEntrySql } from './entry-sql.js';
import { withoutLeftOut } from './left-out-definitions.js';

export interface DefinitionsRequest {
  readonly tools: ClientTools;
  readonly settings: ConnectionSettings;
  /** Where the archive lies while it is needed. */
  readonly folder: string;
  readonly snapshot: string;
  readonly lockTimeoutMs: number;
  readonly encoding: string;
  readonly parts: LeftOutParts;
  /** More of pg_dump's. */
  readonly options?: readonly string[];
  readonly isLeftOut: (entry: Entry) => boolean;
  /** The oids of materialized views that are not computed. */
  readonly unpopulated: ReadonlySet<number>;
  readonly signal: AbortSignal;
}

/** What a database is made of, without a row. */
export interface Definitions {
  /** What makes each of them, by its id. */
  readonly sql: ReadonlyMap<number, string>;
  /** What the rows need. */
  readonly before: readonly Entry[];
  /** What comes after them, in order: indexes, keys, triggers, rules, refreshs of materialized views … */
  readonly after: readonly Entry[];
  /** Who may do what; made last, as who takes rights from itself can make no foreign key any more. */
  readonly grants: readonly Entry[];
}

const EVERYTHING = {
  said: { schemas: [], tables: [], excludedData: [] },
  schemas: [],
  tables: [],
  excludedData: [],
};

/**
 * Reads them by way of an archive, which is gone when they are read: passwords may stand in it that come along nowhere.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED`, `LOCK_TIMEOUT`, `INTERRUPTED`
 */
export async function readDefinitions(request: DefinitionsRequest): Promise<Definitions> {
  const archive = join(request.folder, DUMP_NAMES.custom);
  try {
    await dumpDefinitions(request);
    return await takeApart(request, archive);
  } finally {
    await rm(archive, { force: true });
  }
}

async function dumpDefinitions(request: DefinitionsRequest): Promise<void> {
  const { tools, settings, folder, snapshot, lockTimeoutMs, encoding, signal, options = [] } = request;
  await dumpDatabase({
    ...{ tools, settings, folder, snapshot, lockTimeoutMs, encoding, signal },
    ...{ deposit: null, format: 'custom', contents: 'all', selection: EVERYTHING, compression: 'none' },
    ...{
      jobs: 1,
      tableBytes: 0,
      options: ['--section=pre-data', '--section=post-data', '--no-blobs', '--no-subscriptions', ...options],
    },
  });
}

async function takeApart(request: DefinitionsRequest, archive: string): Promise<Definitions> {
  const { tools, parts, isLeftOut, signal } = request;
  const { environment } = request.settings;
  const list = async (...args: readonly string[]): Promise<Entry[]> => {
    const { stdout } = await runOffline(tools.pgRestore, ['--list', ...args, archive], { environment, signal });
    return parseContents(stdout).filter((entry) => !isOurGrant(entry) && !isOfLeftOutExtension(entry, parts));
  };
  // what needs what is said only with --verbose, which does not care about sections
  const listed = await list('--verbose');
  const foreign = new Set(
    listed.filter(({ kind, oid }) => kind === 'MATERIALIZED VIEW' && request.unpopulated.has(oid)).map(({ id }) => id),
  );
  const isRefreshOfForeign = ({ kind, needs }: Entry): boolean =>
    kind === 'MATERIALIZED VIEW DATA' && needs.some((need) => foreign.has(need));
  const all = withoutLeftOut(listed, (entry) => isRefreshOfForeign(entry) || isLeftOut(entry));
  const idsOf = async (section: string) => new Set((await list(`--section=${section}`)).map(({ id }) => id));
  const [before, after] = [await idsOf('pre-data'), await idsOf('post-data')];
  const isGrant = ({ kind }: Entry) => kind === 'ACL' || kind === 'DEFAULT ACL';
  const others = all.filter((entry) => !isGrant(entry));
  const found = {
    before: others.filter(({ id }) => before.has(id) && !after.has(id)),
    after: others.filter(({ id }) => after.has(id)),
    grants: all.filter(isGrant),
  };
  const from = { pgRestore: tools.pgRestore, path: archive, environment, args: leavingOut(parts), signal };
  return { ...found, sql: await readEntrySql(from, [...found.before, ...found.after, ...found.grants]) };
}

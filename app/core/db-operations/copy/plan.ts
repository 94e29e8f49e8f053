import type { Client } from 'pg';
import type { CopySettings } from '../../../config/copy-settings.js';
import { readCopySettings } from '../../../config/resolve-copy.js';
import { readServerStart } from '../../../database/catalog/server-start.js';
import { readStrangers, type Strangers } from '../../../database/catalog/strangers.js';
import type { StreamableTable } from '../../../database/catalog/streamable-tables.js';
import { readTemplateSource } from '../../../database/catalog/template-source.js';
import type { Queryable } from '../../../database/queryable.js';
import { readObservation } from '../../../database/records/observation.js';
import { type LoggedOperation, readLogState, readOperationLog } from '../../../database/records/operation-log.js';
import { withConnection, withMaintenanceConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';
import { type LeftOutParts, partsWithout } from '../backup/left-out-parts.js';
import { sessionsOf, sessionWords } from '../database-state/sessions.js';
import { ownSessionsEnded } from '../restore/put-in-place.js';
import { type Rehearsed, rehearse } from '../restore/rehearsal.js';
import { EMPTY_DATABASE } from '../restore/space-needed.js';
import { refuseSameDatabase } from '../same-database.js';
import { refuseIfNotSwappable } from '../swap/swap-preconditions.js';
import { type ReadyHook, readAfterCopy } from './after-copy.js';
import type { CopiedPart, CopyPlan, CopyStrategy, Expectation } from './copy-plan.js';
import { expectCopy } from './expectation.js';
import { inTwo } from './in-two.js';
import { LEFT_AT_HOME, leftAtHome } from './left-at-home.js';
import { type CopyMasking, emptyInMasked, maskCopy, maskDefinitions } from './masked-copy.js';
import { checkQuarantine } from './quarantine/quarantine.js';
import type { CopyRequest } from './request.js';
import { type CopiedSource, withSource } from './source.js';
import { chooseStrategy, type TemplateFacts } from './strategy.js';

/** Of a copy that takes the place of the target. */
export type ReplacingPlan = CopyPlan & { readonly strategy: CopyStrategy; readonly expected: Expectation };

export interface PlannedCopy {
  readonly plan: ReplacingPlan;
  /** What a stream takes, which takes the place of a template that is not possible any more. */
  readonly expectedOfStream: Expectation;
  readonly source: CopiedSource;
  readonly masking: CopyMasking | null;
  /** With their schemas, quoted. */
  readonly rowsOf: readonly string[];
  readonly parts: LeftOutParts;
  /** Extensions that cannot come along in a stream. */
  readonly unique: readonly string[];
  readonly missingRoles: readonly string[];
  /** Of the target's environment. */
  readonly settings: CopySettings;
  readonly hooks: readonly ReadyHook[];
}

/**
 * Looks at both sides, and decides how the copy is made.
 *
 * @throws ManageDbError `USAGE` where both are one database or the strategy is not possible, `NOT_FOUND` for what the target's
 *   server lacks, `DRIFT` for what the masking rules do not decide, and what connecting throws
 */
export async function planCopy(from: Target, to: Target, request: CopyRequest): Promise<PlannedCopy> {
  const { controls, isMasked, without, part } = request;
  controls.onProgress?.({ step: 'planning' });
  const settings = await readCopySettings(to.environment);
  const hooks = await readAfterCopy(settings.afterCopy);
  const looked = await withSource(from, controls.signal, async (db, source) => {
    if (to.exists) await withConnection(to.settings, {}, (present) => refuseSameDatabase(from, to, db, present));
    await checkQuarantine(db, settings.quarantine);
    const strangers = isMasked || part === 'data' ? await readStrangers(db) : NO_STRANGERS;
    refuseStrangeParts(from, strangers);
    const parts = partsWithout(without, { ...source, what: `The database of ${from.environment}`, verb: 'copy' });
    return { source, parts, strangers, masking: await maskingOf(db, from, request) };
  });
  const { source, masking, strangers } = looked;
  // only now: our own session is no user of the source
  const { strategy, because } = chooseStrategy(request, await templateFacts(from, to, source));
  const unique = uniqueExtensions(source, looked.parts);
  const parts = { ...looked.parts, extensions: [...looked.parts.extensions, ...unique] };
  const empty = new Set(emptyTables(source, masking, part));
  const [filled, emptied] = inTwo(usersTables(source), ({ quotedName }) => !empty.has(quotedName));
  const streamed = streamedBytes(source, filled, request);
  const bytes = strategy === 'template' ? source.bytes : streamed;
  const needs = { ...source, what: `the database of ${from.environment}`, verb: 'copy', leastBytes: bytes } as const;
  const { missingRoles, freeBytes, warnings } = await rehearsed(to, needs, { parts, part });
  const copies = await copiesOf(to);
  const kind = { from: from.environment, part, isMasked };
  const plan: ReplacingPlan = {
    ...{ from: from.environment, to: to.environment, part, strategy, because, freeBytes },
    expected: expectCopy(bytes, { ...kind, strategy }, copies),
    tables: part === 'schema' ? 0 : filled.length,
    withoutRows: emptied.map(({ quotedName }) => quotedName),
    masking: masking === null ? null : describedMasking(masking, part),
    update: null,
    warnings: [
      ...(strategy === 'stream' ? unique.map(leftAtHome) : []),
      ...(strangers.relations.length === 0
        ? []
        : [`What is not manage_db's own in its schema does not come along: ${strangers.relations.join(', ')}.`]),
      ...warnings,
      ...(masking === null ? [] : [...masking.plan.warnings, ...masking.plan.literals.warnings]),
    ],
  };
  const expectedOfStream = expectCopy(streamed, { ...kind, strategy: 'stream' }, copies);
  return { plan, expectedOfStream, source, masking, rowsOf: [...empty], parts, unique, missingRoles, settings, hooks };
}

/** `null`: everything comes as it is. */
async function maskingOf(
  db: Client,
  { environment }: Target,
  { isMasked, part, rules }: CopyRequest,
): Promise<CopyMasking | null> {
  if (!isMasked) return null;
  return part === 'schema' ? maskDefinitions(db, rules) : maskCopy(db, environment, rules);
}

function usersTables({ tables }: CopiedSource): readonly StreamableTable[] {
  return tables.filter(({ schema }) => schema !== 'manage_db');
}

function streamedBytes(
  source: CopiedSource,
  filled: readonly StreamableTable[],
  { part, isMasked }: CopyRequest,
): number {
  if (part === 'schema') return EMPTY_DATABASE;
  const ofTables = filled.reduce((sum, { bytes, indexBytes }) => sum + bytes + indexBytes, 0);
  return EMPTY_DATABASE + ofTables + (isMasked ? 0 : source.largeObjectBytes);
}

function uniqueExtensions({ extensions }: CopiedSource, parts: LeftOutParts): readonly string[] {
  return extensions.flatMap(({ name }) =>
    LEFT_AT_HOME.includes(name) && !parts.extensions.includes(name) ? [name] : [],
  );
}

/** With rows alone, what manage_db knows of definitions stays the target's. */
function emptyTables({ tables }: CopiedSource, masking: CopyMasking | null, part: CopiedPart): readonly string[] {
  const own = part === 'data' ? tables.filter(({ schema }) => schema === 'manage_db') : [];
  const names = own.map(({ quotedName }) => quotedName);
  return masking === null ? names : [...names, ...emptyInMasked(masking.plan, tables)];
}

const NO_STRANGERS: Strangers = { relations: [], parts: [] };

/** Their rows would be missing in a table that comes along. */
function refuseStrangeParts({ environment }: Target, { parts }: Strangers): void {
  if (parts.length === 0) return;
  throw new ManageDbError(
    'USAGE',
    `${environment} has parts of tables in the schema manage_db, of which nothing comes along: ${parts.join(', ')}.`,
    { hint: `Move them: alter table ${parts[0]} set schema …` },
  );
}

/** The definitions of a copy of rows are the target's own. */
function rehearsed(
  to: Target,
  needs: Parameters<typeof rehearse>[1],
  { parts, part }: { readonly parts: LeftOutParts; readonly part: CopiedPart },
): Promise<Rehearsed> {
  if (part !== 'data') return rehearse(to, needs, parts);
  return rehearse(to, { ...needs, extensions: [], roles: [], tablespaces: [] }, parts);
}

/** What the servers say about a template. A target that cannot be replaced is refused at once. Our own idle sessions are no users. */
async function templateFacts(from: Target, to: Target, source: CopiedSource): Promise<TemplateFacts> {
  await ownSessionsEnded(from);
  return withMaintenanceConnection(to.settings, async (maintenance) => {
    if (to.exists) await refuseIfNotSwappable(maintenance, to.database);
    const { mayUse, login, preparedTransactions } = await readTemplateSource(maintenance, from.database);
    return {
      isSameServer: (await readServerStart(maintenance)) === source.serverStart,
      isSourceProtected: from.isProtected,
      ...{ mayUse, login, preparedTransactions },
      users: await usersOf(maintenance, from.database),
    };
  });
}

async function usersOf(maintenance: Client, database: string): Promise<string[]> {
  return (await sessionsOf(maintenance, database)).map(sessionWords);
}

async function copiesOf({ exists, settings }: Target): Promise<readonly LoggedOperation[]> {
  if (!exists) return [];
  return withConnection(settings, {}, async (db) => ((await isLogReadable(db)) ? readCopies(db) : []));
}

async function isLogReadable(db: Queryable): Promise<boolean> {
  return (await readObservation(db)).hasRecords && (await readLogState(db)) === 'readable';
}

const MOST_COPIES = 20;

async function readCopies(db: Queryable): Promise<readonly LoggedOperation[]> {
  const found: LoggedOperation[] = [];
  for (const operation of ['copy-db', 'copy-db-unmasked'])
    found.push(...(await readOperationLog(db, { operation, event: 'succeeded', limit: MOST_COPIES })));
  return found.sort((one, other) => other.id - one.id);
}

function describedMasking(
  { plan, rules: { file: rules } }: CopyMasking,
  part: CopiedPart,
): NonNullable<CopyPlan['masking']> {
  if (part === 'schema') return { rules, checksum: plan.checksum, columns: 0 };
  const columns = plan.tables.reduce((sum, table) => sum + (table.hasRows ? table.maskedColumns.length : 0), 0);
  return { rules, checksum: plan.checksum, columns };
}

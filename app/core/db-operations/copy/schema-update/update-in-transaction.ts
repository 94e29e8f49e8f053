import type { Client } from 'pg';
import { type ArmedObject, readForeignSecrets } from '../../../../database/catalog/armed-objects.js';
import { readRelationsInPlace } from '../../../../database/catalog/tables-in-place.js';
import { inUndoneSavepoint } from '../../../../database/in-savepoint.js';
import { PIN_TRANSACTION } from '../../../../services/catalog-path.js';
import { isServerError } from '../../../../services/database-errors.js';
import { endWithUs } from '../../../../services/end-with-us.js';
import { ManageDbError } from '../../../errors.js';
import { listed } from '../../../listed.js';
import { stopIfAborted } from '../../../progress.js';
import { refuseIfChanged } from '../../../safety/still-allowed.js';
import { CURRENT_TRANSACTION } from '../../commit-outcome.js';
import type { DefinitionDifference } from '../../compare/found-difference.js';
import { withoutTriggers } from '../../database-state/without-triggers.js';
import { qualified } from '../../inspection/find-relation.js';
import { moveSequences } from '../../restore/in-place/sequences.js';
import type { AppliedUpdate, ApplyingUpdate, Attempt } from './applying.js';
import { executeStatements } from './execute-statements.js';
import { isEmptySchema, SCRIPT_SETTINGS } from './plain-schema.js';
import { addsLabel, lossesIn } from './plan.js';
import { readPresent } from './present-schema.js';
import { refuseLosses } from './refuse-losses.js';
import { readRisks, tablesOf } from './risks.js';
import { carryPositions, positionsToCarry } from './sequence-positions.js';
import { type PresentSchema, remainingDifferences, type UpdateSteps, updateSteps } from './update-steps.js';

/** Does everything but the commit, in a transaction that it begins. */
export async function updateInTransaction(
  client: Client,
  applying: ApplyingUpdate,
  attempt: Attempt,
): Promise<{ readonly xid: string; readonly applied: AppliedUpdate }> {
  const { target, plan, allowDataLoss, safety, stillAlone, controls } = applying;
  const step = (text: string) => {
    stopIfAborted(controls.signal);
    controls.onProgress?.({ step: text });
  };
  const xid = await begin(client, attempt.lockTimeoutMs);
  step('locking the tables');
  // who backs up has to read
  await lockTables(client, applying, allowDataLoss ? 'exclusive' : 'access exclusive');
  step('comparing definitions');
  const present = await readPresent(client, { salt: plan.wanted.salt, major: target.serverMajor ?? 0 });
  const steps = await updateSteps(plan.wanted, present);
  refuseIfAltered(applying, attempt, steps);
  const losses = plan.wanted.script === null ? lossesIn(await readRisks(client, steps)) : [];
  if (!allowDataLoss) refuseLosses(target, losses);
  const update = () => execute(client, applying, { attempt, steps, present });
  if (losses.length > 0 && attempt.part !== 'labels') {
    // what cannot be done is known before hours are spent on a backup
    step('trying it, before the database is backed up');
    await inUndoneSavepoint(client, update);
    await client.query(PIN_TRANSACTION);
    step('backing up what is there');
    await safety.make({});
  }
  step('updating the schema');
  const done = await update();
  await stillAlone();
  await refuseIfChanged(client, target, 'the schema update');
  stopIfAborted(controls.signal);
  return { xid, applied: { ...done, losses } };
}

async function begin(client: Client, lockTimeoutMs: number): Promise<string> {
  await endWithUs(client);
  await client.query('begin isolation level read committed read write');
  await client.query(`set local role none; set local row_security = off; set local lock_timeout = ${lockTimeoutMs}`);
  const { rows } = await client.query<{ xid: string }>(CURRENT_TRANSACTION);
  return rows[0]?.xid ?? '';
}

/** All at once and always in the same order, so that two updates cannot wait for one another. */
async function lockTables(
  client: Client,
  { plan, target }: ApplyingUpdate,
  strongest: 'exclusive' | 'access exclusive',
): Promise<void> {
  const found = new Map((await readRelationsInPlace(client, plan.locks)).map((table) => [qualified(table), table]));
  const tables = plan.locks.flatMap(({ mode, ...table }) => {
    const there = found.get(qualified(table));
    return there === undefined ? [] : [{ identity: there.identity, mode }];
  });
  if (tables.length < plan.locks.length) throw altered(target.database);
  for (const { identity, mode } of tables) {
    const wanted = mode === 'access exclusive' ? strongest : mode;
    try {
      await client.query(`lock table ${identity} in ${wanted} mode`);
    } catch (error) {
      if (isServerError(error) && error.code === '42P01') throw altered(target.database);
      throw error;
    }
  }
}

/** What was planned must still be what has to be done. */
function refuseIfAltered({ plan, target }: ApplyingUpdate, { part }: Attempt, { actions, present }: UpdateSteps): void {
  if (plan.wanted.script !== null && isEmptySchema(present)) return;
  const { statements } = plan;
  const expected = part === 'rest' ? statements.filter(({ addsLabel: isLabel }) => !isLabel) : statements;
  if (JSON.stringify(expected.map(({ sql }) => sql)) === JSON.stringify(actions.map(({ sql }) => sql))) return;
  throw altered(target.database);
}

function altered(database: string): ManageDbError {
  return new ManageDbError(
    'DATABASE_IN_USE',
    `The definitions of ${database} have changed since the update was planned.`,
    { hint: 'Look at the new plan, and run it again.' },
  );
}

interface Execution {
  readonly attempt: Attempt;
  readonly steps: UpdateSteps;
  readonly present: PresentSchema;
}

async function execute(
  client: Client,
  { target, plan, controls }: ApplyingUpdate,
  { attempt, steps, present }: Execution,
): Promise<Omit<AppliedUpdate, 'losses'>> {
  const { script } = plan.wanted;
  const actions = attempt.part === 'labels' ? steps.actions.filter(addsLabel) : (script ?? steps.actions);
  const settings = script === null ? steps.settings : SCRIPT_SETTINGS;
  const { signal, onProgress } = controls;
  const secrets = new Set((await readForeignSecrets(client)).map(({ name }) => name));
  const carried = script === null ? await positionsToCarry(client, steps) : [];
  await executeStatements(client, { actions, settings, searchPath: attempt.searchPath, signal, onProgress });
  if (attempt.part === 'labels') return { statements: actions.length, remaining: [], warnings: [] };
  await removeSecrets(client, secrets);
  const warnings = [
    ...(await carryPositions(client, carried)),
    ...(script === null ? await moveNewSequences(client, steps) : []),
  ];
  onProgress?.({ step: 'comparing definitions' });
  const now = (await readPresent(client, { salt: plan.wanted.salt, major: present.major })).definitions;
  const left = await remainingDifferences(plan.wanted, steps, {
    was: present.definitions,
    now,
    major: present.major,
  });
  refuseUnannounced(left, script === null ? steps.remaining : plan.remaining, target.database);
  return { statements: plan.statements.length, remaining: left, warnings };
}

/** A full copy does not bring them either; what was there before is the target's own. */
async function removeSecrets(client: Client, before: ReadonlySet<string>): Promise<void> {
  const isNew = ({ name }: ArmedObject) => !before.has(name);
  const found = (await readForeignSecrets(client)).filter(isNew);
  if (found.length === 0) return;
  await withoutTriggers(client, [], async () => {
    for (const { statements } of found) for (const statement of statements) await client.query(statement);
  });
  const left = (await readForeignSecrets(client)).filter(isNew).map(({ name }) => name);
  if (left.length > 0)
    throw new ManageDbError('SQL_FAILED', `Options that are secrets are still there: ${left.join(', ')}.`);
}

/** A sequence that is made for a column that has numbers already must not give them again. */
async function moveNewSequences(client: Client, { actions, present }: UpdateSteps): Promise<string[]> {
  const isMoved = ({ sql }: { readonly sql: string }) =>
    /^(CREATE SEQUENCE|ALTER SEQUENCE .* (RESTART|OWNED BY)|ALTER TABLE .* (AS IDENTITY|RESTART))/s.test(sql);
  if (!actions.some(isMoved)) return [];
  const tables = actions.flatMap(tablesOf).filter(({ schema, name }) => present.has({ kind: 'table', schema, name }));
  const relations = await readRelationsInPlace(client, tables);
  const moved = await moveSequences(
    client,
    relations.map(({ oid }) => oid),
    [],
  );
  return moved.flatMap(({ sequence, next, from }) =>
    from === 'rows' ? [`The sequence ${sequence} goes on after the rows that are there: it gives ${next} next.`] : [],
  );
}

/** @throws ManageDbError `DRIFT` */
function refuseUnannounced(
  left: readonly DefinitionDifference[],
  announced: readonly DefinitionDifference[],
  database: string,
): void {
  const isAnnounced = ({ kind, name, state, changes }: DefinitionDifference) => {
    const one = announced.find((other) => other.kind === kind && other.name === name && other.state === state);
    if (one === undefined) return false;
    const properties = new Set(one.changes.map(({ property }) => property));
    // what it depends on goes with what it is
    return changes.every(({ property }) => property === 'depends on' || properties.has(property));
  };
  // the server names the indexes of partitions
  const isNamedByServer = ({ kind, state, hasDdl }: DefinitionDifference) =>
    kind === 'index' && state !== 'different' && !hasDdl;
  const unannounced = left.filter((difference) => !isAnnounced(difference) && !isNamedByServer(difference));
  if (unannounced.length === 0) return;
  const words = unannounced.map(({ kind, name, changes }) => {
    const properties = changes.map(({ property }) => property).join(', ');
    return `${kind} ${name}${properties === '' ? '' : ` (${properties})`}`;
  });
  throw new ManageDbError(
    'DRIFT',
    `After the update the schema would still be another one, so it was rolled back: ${listed(words, 10)}.`,
    {
      hint: `If nobody changes the definitions of ${database} at this moment, make these equal by hand, and run it again.`,
      details: { differences: unannounced },
    },
  );
}

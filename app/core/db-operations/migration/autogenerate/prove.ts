import type { Client } from 'pg';
import { runSqlFile } from '../../../../services/sql-script.js';
import { messageOf } from '../../../errors.js';
import type { DefinitionDifference } from '../../compare/found-difference.js';
import { type Belonging, type ComparableSchema, comparableSchema, differencesOf } from './comparable-schema.js';
import { kindsAndNames } from './differences-in-words.js';
import type { PlannedChange, PlannedDirection } from './plan-changes.js';
import { sqlOf } from './render-migration.js';
import type { ReplayedDatabase } from './replay.js';
import { withoutFailing } from './without-failing.js';

/** What came of the migrations where nothing is lost by them: in the replayed database. */
export interface Proof {
  /** As they can be executed: what the server refuses is marked. */
  readonly changes: readonly PlannedChange[];
  /** What is different from the live database when all of them are applied. */
  readonly remaining: readonly DefinitionDifference[];
  /** What else somebody has to know who applies them or takes them back, in sentences. */
  readonly warnings: readonly string[];
}

/**
 * Applies the migrations where there are no rows, as they are meant and as they are written, and takes them back.
 *
 * @throws ManageDbError `SQL_FAILED` where what can be executed by itself cannot be executed together
 */
export async function prove(
  planned: readonly PlannedChange[],
  {
    replayed,
    before,
    after,
    belonging,
  }: {
    readonly replayed: ReplayedDatabase;
    readonly before: ComparableSchema;
    readonly after: ComparableSchema;
    readonly belonging: Belonging;
  },
): Promise<Proof> {
  const warnings: string[] = [];
  const now = async () => comparableSchema(await replayed.read(), belonging);
  const ups: PlannedChange[] = [];
  for (const change of planned) {
    const up = await withoutFailing(replayed, change.up);
    ups.push({ ...change, up });
    warnings.push(...(await tryWithoutLosses(replayed, up, 'up')));
    await replayed.connect((client) => execute(client, up, { decided: true, commits: true }));
  }
  const remaining = await differencesOf(after, await now());
  const changes: PlannedChange[] = [];
  for (const change of [...ups].reverse()) {
    const down = await withoutFailing(replayed, change.down);
    changes.unshift({ ...change, down });
    warnings.push(...(await tryWithoutLosses(replayed, down, 'down')));
    try {
      await replayed.connect((client) => execute(client, down, { decided: true, commits: true }));
    } catch (error) {
      warnings.push(`What takes it back fails: ${messageOf(error)}`);
      return { changes: [...ups.slice(0, ups.length - changes.length), ...changes], remaining, warnings };
    }
  }
  const left = await differencesOf(before, await now());
  if (left.length > 0) warnings.push(`What takes it back leaves differences: ${kindsAndNames(left)}.`);
  return { changes, remaining, warnings: [...failing(changes), ...warnings] };
}

function failing(changes: readonly PlannedChange[]): string[] {
  return changes.flatMap(({ up, down }) =>
    [
      ...up.statements.map((one) => ({ ...one, part: 'up' })),
      ...down.statements.map((one) => ({ ...one, part: 'down' })),
    ]
      .filter(({ problem }) => problem !== null)
      .map(({ sql, problem, part }) => {
        const [line = ''] = sql.trim().split('\n');
        return `To be written by hand, in the part ${part}: PostgreSQL refuses ${line.replace(/;$/, '')}: ${problem}.`;
      }),
  );
}

/** What is commented out may be needed by what is not. */
async function tryWithoutLosses(
  { connect }: ReplayedDatabase,
  direction: PlannedDirection,
  name: 'up' | 'down',
): Promise<string[]> {
  if (!direction.statements.some(({ loss }) => loss !== null)) return [];
  try {
    await connect((client) => execute(client, direction, { decided: false, commits: false }));
    return [];
  } catch (error) {
    return [`Without what is commented out, the part ${name} fails: ${messageOf(error)}`];
  }
}

async function execute(
  client: Client,
  direction: PlannedDirection,
  { decided, commits }: { readonly decided: boolean; readonly commits: boolean },
): Promise<void> {
  const sql = sqlOf(direction, decided);
  await client.query('begin');
  await runSqlFile(client, { path: 'the new migration', sql, firstLine: 1 });
  await client.query(commits ? 'commit' : 'rollback');
}

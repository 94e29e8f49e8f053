import { type ChildProcess, spawn } from 'node:child_process';
import { escapeLiteral } from 'pg';
import { RESTORE_LOCK_SPACE } from '../../app/database/advisory-locks.js';
import { onServer } from './scratch-database.js';
import { until } from './until.js';

/** Where a program stops for ever, to be killed there: it cannot have gone on meanwhile, however slow the machine is. */
export interface Stop {
  readonly at: string;
  readonly afterMs?: number;
}

/** What a program gives as `onProgress`, as source text: it says every step, and stops where {@link startProgram} is told. */
export const SAYING_STEPS = `({ step }) => {
    process.stdout.write(step + '\\n');
    const { STOP_AT, STOP_AFTER_MS } = process.env;
    if (STOP_AT === undefined || !step.startsWith(STOP_AT)) return;
    const stop = () => {
      process.stdout.write('stopped\\n');
      for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    };
    if (STOP_AFTER_MS === '0') stop();
    else setTimeout(stop, Number(STOP_AFTER_MS));
  }`;

/** Runs TypeScript as a process of its own, in the workspace `root`; its standard output can be read. */
export function startProgram(program: string, root: string, stop?: Stop): ChildProcess {
  const stopping = stop === undefined ? {} : { STOP_AT: stop.at, STOP_AFTER_MS: String(stop.afterMs ?? 0) };
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
    env: { ...process.env, ...stopping, MANAGE_DB_WORKSPACE: root },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Waits until a line of what `child` says begins with `step`. */
export async function hasSaid(child: ChildProcess, step: string): Promise<void> {
  let text = '';
  // it may go on saying more
  for await (const chunk of child.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    text += String(chunk);
    if (text.split('\n').some((line) => line.startsWith(step))) return;
  }
  throw new Error(`it ended without ${step}: ${text}`);
}

/** The same on a server of one's own: `query` gives the rows. */
type Query = (sql: string) => Promise<readonly unknown[]>;

/** Waits until no restore of `database` is at work: the sessions and tools of a killed process end a little after it. */
export async function untilUnlocked(database: string, query: Query = onTestServer): Promise<void> {
  const held = `select from pg_locks where locktype = 'advisory' and classid = ${RESTORE_LOCK_SPACE}
    and objid = (hashtext(${escapeLiteral(`restore of ${database}`)})::bigint & 4294967295)::oid`;
  await until(`nobody restores ${database}`, async () => (await query(held)).length === 0);
}

const onTestServer: Query = async (sql) => (await onServer((server) => server.query(sql))).rows;

import { type Client, escapeIdentifier } from 'pg';
import { endWithUs } from '../../../services/end-with-us.js';
import { withConnection } from '../../../services/with-connection.js';
import { codeOf, ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { inUse, sessionsOf } from '../database-state/sessions.js';
import { adoptScratchDatabase, dropDatabase, inTablespace } from '../scratch/scratch-database.js';

export interface TemplateCopy {
  /** Whose login copies. */
  readonly target: Target;
  /** The database of the same server that is copied. */
  readonly source: string;
  /** Where it shall lie; `null`: where the source lies. */
  readonly tablespace: string | null;
  readonly controls: OperationControls;
}

/**
 * Makes a scratch database that is a copy of `source`, by the server itself. Nobody may connect to it until its grants
 * are known. While it runs nobody gets into the source either.
 *
 * @param maintenance the session that owns it
 * @throws ManageDbError `DATABASE_IN_USE` where somebody is connected to the source, `PERMISSION_DENIED`, `DISK_FULL`
 * @example const scratch = await createByTemplate(maintenance, { target, source: 'clinic', tablespace: null, controls });
 */
export function createByTemplate(
  maintenance: Client,
  { target, source, tablespace, controls }: TemplateCopy,
): Promise<string> {
  return adoptScratchDatabase(maintenance, async (name) => {
    const statement = `${templateStatement(name, source, target.serverMajor ?? 0)}${inTablespace(tablespace)}`;
    const { settings } = target;
    // on a connection that can be broken off: the other one says that the scratch database lives
    const on = { database: maintenance.database ?? 'postgres', signal: controls.signal };
    let pid: number | null = null;
    try {
      await withConnection(settings, on, (db) => {
        pid = processOf(db);
        return copying(db, statement);
      });
    } catch (error) {
      if (pid !== null) await ended(maintenance, pid);
      // what cannot be dropped now, the next command drops
      await dropDatabase(maintenance, name).catch(() => undefined);
      if (codeOf(error) === '55006') throw inUse(source, await sessionsOf(maintenance, source));
      throw error;
    }
  });
}

async function copying(db: Client, statement: string): Promise<void> {
  await endWithUs(db);
  await db.query(statement);
}

function processOf(db: Client): number | null {
  return (db as unknown as { readonly processID: number | null }).processID;
}

/** A session that was broken off may go on for a while, and would leave the database that it was about to make. */
async function ended(db: Client, pid: number): Promise<void> {
  await db.query('select pg_catalog.pg_terminate_backend($1, $2)', [pid, ENDING_MS]).catch(() => undefined);
}

const ENDING_MS = 5000;

/** Before version 15 files are always copied; by default later ones write every page into the log instead. */
function templateStatement(name: string, source: string, serverMajor: number): string {
  const strategy = serverMajor >= 15 ? ' strategy file_copy' : '';
  return `create database ${escapeIdentifier(name)} template ${escapeIdentifier(source)}${strategy} allow_connections false`;
}

/** Whether a copy by template has failed because somebody has come into the source meanwhile. */
export function isSourceInUse(error: unknown): boolean {
  return error instanceof ManageDbError && error.code === 'DATABASE_IN_USE';
}

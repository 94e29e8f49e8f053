import type { QueryResult, QueryResultRow } from 'pg';
import { importWorkspaceFile } from '../../../config/import-workspace-file.js';
import { redact } from '../../../config/redaction.js';
import { messageOf } from '../../errors.js';
import * as z from '../../schema.js';
import { cacheFolder, workspaceRoot } from '../../workspace-root.js';
import { invalidMigration, type MigrationOptions } from './file-format.js';

/** What a TypeScript migration is given: its session, in the transaction of the migration. */
export interface MigrationDb {
  /** @throws ManageDbError `SQL_FAILED` for statements that begin or end a transaction, where the migration runs in one */
  query<Row extends QueryResultRow = QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<QueryResult<Row>>;
}

/** One direction of a TypeScript migration. */
export interface FunctionPart {
  readonly kind: 'function';
  readonly path: string;
  readonly isTransactional: boolean;
  readonly run: (db: MigrationDb) => Promise<unknown>;
}

interface ModuleMigration {
  readonly up: FunctionPart;
  readonly down: FunctionPart | null;
  readonly options: MigrationOptions;
}

const aFunction = z.custom<(db: MigrationDb) => unknown>((value) => typeof value === 'function', {
  error: 'it is no function',
});
const milliseconds = z.number().check(z.int(), z.minimum(0));

const moduleSchema = z.looseObject({
  up: aFunction,
  down: z.optional(aFunction),
  transaction: z.optional(z.boolean()),
  lockTimeoutMs: z.optional(milliseconds),
  statementTimeoutMs: z.optional(milliseconds),
});

/**
 * A migration written in TypeScript or JavaScript: it exports `up(db)`, and may export `down(db)`, `transaction`,
 * `lockTimeoutMs` and `statementTimeoutMs`.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` when it cannot be loaded or exports something else
 * @example
 * import type { MigrationDb } from 'manage_db';
 * export async function up(db: MigrationDb) {
 *   await db.query('alter table patients add column phone text');
 * }
 */
export async function readModuleMigration(path: string): Promise<ModuleMigration> {
  const parsed = moduleSchema.safeParse(await load(path));
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the module'}: ${issue.message}`);
    throw invalidMigration(path, `is no migration: ${problems.join('; ')}`, 'It must export a function up(db).');
  }
  const { up, down, transaction = true, lockTimeoutMs = null, statementTimeoutMs = null } = parsed.data;
  const part = (run: (db: MigrationDb) => unknown): FunctionPart => ({
    kind: 'function',
    path,
    isTransactional: transaction,
    run: async (db) => run(db),
  });
  return {
    up: part(up),
    down: down === undefined ? null : part(down),
    options: { lockTimeoutMs, statementTimeoutMs },
  };
}

async function load(path: string): Promise<unknown> {
  try {
    const loaded = await importWorkspaceFile(path, cacheFolder(workspaceRoot()), { manage_db: {} });
    return { ...(typeof loaded === 'object' ? loaded : {}) };
  } catch (error) {
    throw invalidMigration(path, `cannot be loaded: ${redact(messageOf(error))}`, 'Correct the file.');
  }
}

import { basename } from 'node:path';
import { checkSqlFile, parseSqlScript, type SqlStatement } from '../../../services/sql-script.js';
import { ManageDbError } from '../../errors.js';
import { invalidMigration, type SqlPart } from './file-format.js';
import type { MigrationPart } from './migration-files.js';
import type { MigrationStep } from './step.js';
import { UNDECIDED, undecidedLines } from './undecided.js';
import { type Unit, unitsOf } from './units.js';

/** A step that was read and can be begun. */
export type CheckedStep = MigrationStep &
  (
    | {
        readonly how: 'transaction';
        readonly part: MigrationPart;
        /** `null`: only the server can read them, or it is a function. */
        readonly statements: readonly SqlStatement[] | null;
      }
    /** Statement by statement. */
    | { readonly how: 'units'; readonly part: MigrationPart; readonly units: readonly Unit[] }
  );

/**
 * Reads every part that will be executed, before anything is: by PostgreSQL's own parser, and against the rules for what
 * runs in a transaction.
 *
 * @throws ManageDbError `SQL_FAILED` with the place, `INVALID_CONFIGURATION` for a part without statements, `MIGRATION_IRREVERSIBLE`
 *   for one that has no way down
 */
export async function checkSteps(steps: readonly MigrationStep[]): Promise<readonly CheckedStep[]> {
  const checked: CheckedStep[] = [];
  for (const step of steps) checked.push(await checkStep(step));
  return checked;
}

async function checkStep(step: MigrationStep): Promise<CheckedStep> {
  const { migration, direction } = step;
  const part = migration[direction];
  if (part === null) {
    throw new ManageDbError(
      'MIGRATION_IRREVERSIBLE',
      `${basename(migration.path)} has no way down. No migration was changed.`,
      {
        hint: 'Write what undoes it below a line "-- migrate:down", or make a new migration that does.',
        details: { version: migration.version, file: migration.path },
      },
    );
  }
  if (direction === 'down') refuseUndecided(migration.path, part);
  if (part.kind === 'function') {
    return part.isTransactional
      ? { ...step, how: 'transaction', part, statements: null }
      : { ...step, how: 'units', part, units: [{ kind: 'function', part, position: 1 }] };
  }
  if (!part.isTransactional) {
    const units = unitsOf(part.source, await parseSqlScript(part.source));
    if (units.length === 0) throw withoutStatements(step, part);
    return { ...step, how: 'units', part, units };
  }
  const statements = await checkSqlFile(part.source);
  if (statements !== null) refuseEmpty(step, part, statements);
  return { ...step, how: 'transaction', part, statements };
}

/** A way down that leaves out what nobody has decided on would forget what is still there. */
function refuseUndecided(path: string, part: MigrationPart): void {
  if (undecidedLines(part) === 0) return;
  throw new ManageDbError(
    'MIGRATION_IRREVERSIBLE',
    `The way down of ${basename(path)} has lines that nobody has decided on (${UNDECIDED.trim()}): rows would be lost by them. Nothing was rolled back.`,
    {
      hint: `Before it is applied: take "${UNDECIDED.trim()}" away from the lines that are meant, and remove the others. Afterwards the file may not change: make a new migration that takes it back.`,
      details: { file: path },
    },
  );
}

/** Going down, there may be nothing to do. */
function refuseEmpty(step: MigrationStep, part: SqlPart, statements: readonly SqlStatement[]): void {
  if (statements.length === 0 && step.direction === 'up') throw withoutStatements(step, part);
}

function withoutStatements({ migration, direction }: MigrationStep, { source }: SqlPart): ManageDbError {
  const hasComments = source.sql.trim() !== '';
  return invalidMigration(
    migration.path,
    `has ${hasComments ? 'nothing but comments' : 'nothing'} below "-- migrate:${direction}"`,
    'Write its statements there, or remove the file.',
    source.firstLine - 1,
  );
}

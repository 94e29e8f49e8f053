import { createHash } from 'node:crypto';
import { type OutsideWork, type SqlSource, type SqlStatement, sqlScriptError } from '../../../services/sql-script.js';
import type { FunctionPart } from './module-migration.js';

/** What of a migration that runs statement by statement is done at once. */
export type Unit =
  /** In one transaction with its entry in the journal: one statement, or all between BEGIN and COMMIT. */
  | {
      readonly kind: 'transaction';
      readonly position: number;
      readonly checksum: string;
      readonly statements: readonly SqlStatement[];
    }
  /** What PostgreSQL refuses in a transaction. */
  | {
      readonly kind: 'outside';
      readonly position: number;
      readonly checksum: string;
      readonly statement: SqlStatement;
      readonly work: OutsideWork;
    }
  /** SET and RESET, which are gone with the session: done again by each run. */
  | { readonly kind: 'setting'; readonly position: number; readonly statement: SqlStatement }
  | { readonly kind: 'function'; readonly position: number; readonly part: FunctionPart };

/**
 * The units of a file that does not run in a transaction. BEGIN and COMMIT in it hold statements together.
 *
 * @throws ManageDbError `SQL_FAILED` with the place for transaction control that is not BEGIN … COMMIT
 */
export function unitsOf(source: SqlSource, statements: readonly SqlStatement[]): readonly Unit[] {
  const units: Unit[] = [];
  let block: { readonly begin: SqlStatement; readonly statements: SqlStatement[] } | null = null;
  for (const statement of statements) {
    const position = units.length + 1;
    const { transactionControl: control } = statement;
    if (block !== null) {
      if (control === 'commit') {
        if (block.statements.length > 0) units.push(transactionUnit(block.statements, position));
        block = null;
        continue;
      }
      if (statement.cannotRunInTransaction) {
        throw refused(source, statement, 'This cannot run between BEGIN and COMMIT', 'Put it above or below them.');
      }
      if (control === null || control.includes('savepoint')) {
        block.statements.push(statement);
        continue;
      }
    } else if (control === 'begin') {
      block = { begin: statement, statements: [] };
      continue;
    } else if (control === null) {
      units.push(unitOf(statement, position));
      continue;
    }
    throw refused(
      source,
      statement,
      `${control?.toUpperCase()} is not possible here`,
      'In a migration with transaction:false, only BEGIN … COMMIT around statements that belong together is.',
    );
  }
  if (block !== null) {
    throw refused(
      source,
      block.begin,
      'This transaction is never committed',
      'Write COMMIT behind its last statement.',
    );
  }
  return units;
}

function unitOf(statement: SqlStatement, position: number): Unit {
  const { outside, isSessionSetting, cannotRunInTransaction } = statement;
  if (outside !== null && cannotRunInTransaction) {
    return { kind: 'outside', position, checksum: checksumOf([statement]), statement, work: outside };
  }
  return isSessionSetting ? { kind: 'setting', position, statement } : transactionUnit([statement], position);
}

function transactionUnit(statements: readonly SqlStatement[], position: number): Unit {
  return { kind: 'transaction', position, checksum: checksumOf(statements), statements };
}

function checksumOf(statements: readonly SqlStatement[]): string {
  return createHash('sha256')
    .update(JSON.stringify(statements.map(({ text }) => text)))
    .digest('hex');
}

function refused(source: SqlSource, { offset, text }: SqlStatement, problem: string, hint: string) {
  const message = `${problem}. Nothing of the file was executed.`;
  return sqlScriptError(source, { message, hint, offset, statement: text });
}

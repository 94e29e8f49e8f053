import { expect } from 'chai';
import type pg from 'pg';
import { registerSecret } from '../../../app/config/redaction.js';
import {
  refusalInWords,
  StatementRefused,
} from '../../../app/core/db-operations/copy/schema-update/execute-statements.js';
import { explained } from '../../../app/core/db-operations/failure.js';
import { type ManageDbError, messageOf } from '../../../app/core/errors.js';
import { asManageDbError, type ServerError } from '../../../app/services/database-errors.js';
import { runSqlFile, sqlScriptError } from '../../../app/services/sql-script.js';
import { openClient } from '../../database/open-client.js';
import { type ScratchDatabase, scratchDatabase } from '../../support/scratch-database.js';

const CODES = [
  ['40P01', 'LOCK_TIMEOUT'],
  ['55P03', 'LOCK_TIMEOUT'],
  ['42501', 'PERMISSION_DENIED'],
  ['55006', 'DATABASE_IN_USE'],
  ['23505', 'SQL_FAILED'],
] as const;

describe('what a failed statement is called', () => {
  let database: ScratchDatabase;
  let client: pg.Client;

  before(async () => {
    database = await scratchDatabase();
    client = await openClient(database.url);
  });
  after(async () => {
    await client.end();
    await database.drop();
  });

  it('shows no half of a secret, where the statement is cut', async () => {
    registerSecret('canary-1234567');
    const sql = `select '${'x'.repeat(1984)}canary-1234567' + `;
    const cause = Object.assign(new Error('it ends there'), { code: '42601', severity: 'ERROR' });
    const refused = refusalInWords(new StatementRefused(sql, 0, 1, cause as ServerError));
    const script = sqlScriptError({ path: 'a.sql', sql, firstLine: 1 }, { message: 'x', offset: null, statement: sql });
    for (const { details } of [refused, script])
      expect(details.statement).to.have.length.at.least(1990).and.not.include('cana');
  });

  const raise = (sqlState: string) => `do $$ begin
    raise exception 'it does not go with canary-123' using errcode = '${sqlState}', detail = 'Key canary-123 is there.',
      hint = 'Leave canary-123 out.'; end $$`;
  const thrownBy = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => new Error('nothing was thrown'),
      (error: unknown) => error,
    );

  for (const [sqlState, code] of CODES) {
    it(`is ${code} for ${sqlState}, wherever it fails, in PostgreSQL's words and without secrets`, async () => {
      registerSecret('canary-123');
      const error = await thrownBy(client.query(raise(sqlState)));
      const source = { path: '/nowhere/one.sql', sql: raise(sqlState), firstLine: 1 };
      const errors = [
        asManageDbError(error),
        explained(error, 'Nothing was dropped.'),
        (await thrownBy(runSqlFile(client, source))) as ManageDbError,
      ];
      for (const each of errors) {
        expect(each.code, messageOf(each)).to.equal(code);
        expect(each.message).to.contain('it does not go with ***').and.to.contain('Key *** is there.');
        expect(each.hint).to.equal('Leave *** out.');
        expect(each.details).to.include({ sqlState });
      }
      expect(errors[1]?.message).to.match(/Nothing was dropped\.$/);
    });
  }
});

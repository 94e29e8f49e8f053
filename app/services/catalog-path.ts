import type { QueryResult, QueryResultRow } from 'pg';
import type { Queryable } from '../database/queryable.js';
import { DROP_SET_ROLE } from './neutral-settings.js';

/**
 * The search_path of everything that manage_db asks for itself. The owner of a database can put operators of their own
 * before PostgreSQL's (`alter database … set search_path`), and they would run with the rights of whoever asks.
 */
const CATALOG_PATH = 'pg_catalog, pg_temp';

/** Until the end of the transaction. Executes no operator and no function. */
export const PIN_TRANSACTION = `set local search_path = ${CATALOG_PATH}`;

/** Until the end of the session, for connections that are nobody else's. */
export const PIN_SESSION = `set search_path = ${CATALOG_PATH}`;

/**
 * A pooled connection on which each statement is a transaction of its own, under {@link PIN_TRANSACTION}, that may write
 * and is the login's own: a pooler may give the next one to another session of the server, which must not keep a setting of
 * ours.
 */
export function pinned(db: Queryable): Queryable {
  return {
    async query<Row extends QueryResultRow>(text: string, values?: unknown[]): Promise<QueryResult<Row>> {
      try {
        await db.query(`begin read write; ${PIN_TRANSACTION}; ${DROP_SET_ROLE}`);
        const result: QueryResult<Row> | readonly QueryResult<Row>[] = await db.query<Row>(text, values);
        await db.query('commit');
        // of several statements in one text, the last one answers
        return Array.isArray(result) ? (result.at(-1) as QueryResult<Row>) : (result as QueryResult<Row>);
      } catch (error) {
        await db.query('rollback').catch(() => undefined);
        throw error;
      }
    },
  };
}

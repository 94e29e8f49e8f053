import type { QueryResult, QueryResultRow } from 'pg';

/** Anything that runs one statement: a session, a client, a pool. Catalog readers ask for no more than this. */
export interface Queryable {
  query<Row extends QueryResultRow>(text: string, values?: unknown[]): Promise<QueryResult<Row>>;
}

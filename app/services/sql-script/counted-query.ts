import pg from 'pg';

/** What a client calls while a query runs; pg-cursor and pg-query-stream build on the same. */
interface QueryHandlers {
  handleCommandComplete(message: unknown, connection: unknown): void;
}

export interface StatementResult {
  readonly command: string | null;
  readonly rowCount: number | null;
  readonly rows: readonly unknown[];
}

/** Statements of one text that failed at one of them: how many had been executed before. */
export class StatementFailed extends Error {
  constructor(
    override readonly cause: unknown,
    readonly completed: number,
  ) {
    super('A statement failed.');
  }
}

/**
 * Executes several statements in one round trip and counts those that are done: of an error to which PostgreSQL gives no
 * position, such as a duplicate key, that is the only sign where it happened.
 *
 * @throws StatementFailed
 */
export function countedQuery(client: pg.Client, sql: string): Promise<readonly StatementResult[]> {
  let completed = 0;
  const query = new pg.Query(sql);
  const handlers = query as unknown as QueryHandlers;
  const handleCommandComplete = handlers.handleCommandComplete.bind(query);
  handlers.handleCommandComplete = (message, connection) => {
    completed += 1;
    handleCommandComplete(message, connection);
  };
  return new Promise((resolve, reject) => {
    query.on('error', (error) => reject(new StatementFailed(error, completed)));
    // one result for one statement, a list for several
    query.on('end', (results) => resolve([results as unknown as StatementResult].flat()));
    client.query(query);
  });
}

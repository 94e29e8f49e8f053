import { once } from 'node:events';
import type { Client, Connection, Submittable } from 'pg';

/**
 * Begins to copy rows into a table.
 *
 * @param statement `copy … from stdin`
 * @throws the server's error
 * @example
 * const copy = await beginCopy(client, 'copy public.patients (id) from stdin');
 * await copy.write(Buffer.from('1\n'));
 * await copy.end();
 */
export async function beginCopy(client: Client, statement: string): Promise<CopyIn> {
  const copy = new CopyIn(statement);
  client.query(copy);
  await copy.begun;
  return copy;
}

/** What `pg` does with a connection, and leaves out of its types. */
interface CopyConnection extends Connection {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
}

/** Rows on their way into a table, as bytes in the format that the statement says. */
export class CopyIn implements Submittable {
  private readonly begin = deferred();
  private readonly finish = deferred();
  private connection: CopyConnection | null = null;
  private failure: { readonly error: Error } | null = null;

  constructor(private readonly statement: string) {}

  /** Until the server takes rows. */
  get begun(): Promise<void> {
    return this.begin.promise;
  }

  /**
   * Returns when the connection takes more: no more than a chunk is in memory.
   *
   * @throws the server's error, about these rows or those before
   */
  async write(chunk: Buffer): Promise<void> {
    if (this.failure !== null) throw this.failure.error;
    const { connection } = this;
    connection?.sendCopyFromChunk(chunk);
    if (connection?.stream.writableNeedDrain)
      await Promise.race([once(connection.stream, 'drain'), this.finish.promise]);
  }

  /** @throws the server's error: constraints that are checked at the end of a statement are checked now */
  async end(): Promise<void> {
    if (this.failure === null) this.connection?.endCopyFrom();
    await this.finish.promise;
  }

  // what `pg` calls

  submit(connection: Connection): void {
    this.connection = connection as CopyConnection;
    this.connection.query(this.statement);
  }

  handleCopyInResponse(): void {
    this.begin.resolve();
  }

  handleError(error: Error): void {
    this.failure = { error };
    this.begin.reject(error);
    this.finish.reject(error);
  }

  handleCommandComplete(): void {
    // followed by the end of the statement
  }

  handleReadyForQuery(): void {
    this.begin.resolve();
    this.finish.resolve();
  }
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

function deferred(): Deferred {
  let resolve = (): void => undefined;
  let reject = (_error: Error): void => undefined;
  const promise = new Promise<void>((onResolved, onRejected) => {
    resolve = onResolved;
    reject = onRejected;
  });
  // whoever waits for it is told; nobody may be waiting yet
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

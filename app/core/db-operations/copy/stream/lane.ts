import type { Client } from 'pg';
import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import type { Queryable } from '../../../../database/queryable.js';
import { PIN_SESSION } from '../../../../services/catalog-path.js';
import { CopyFailure } from '../../../../services/connection/copy-between.js';
import { isOfSearchPath } from '../../database-state/search-path.js';
import { prepareSource, prepareTarget, type Sessions, type SourceState } from './sessions.js';

export interface LaneEnds {
  readonly source: ConnectionSettings;
  readonly target: ConnectionSettings;
  readonly scratch: string;
  readonly state: SourceState;
  /** Of the databases that rows and definitions come from: what functions rely on. */
  readonly searchPaths: { readonly source: string; readonly target: string };
}

/** A session on the source and one in the scratch database that work together. */
export class Lane {
  private reader: Client | null = null;
  /** Whether both sessions have the search_path of the database for the moment; otherwise only PostgreSQL's own schema. */
  private isAsInDatabase = false;

  private constructor(
    private readonly sessions: Sessions,
    private readonly ends: LaneEnds,
    readonly target: Client,
  ) {}

  static async open(sessions: Sessions, ends: LaneEnds): Promise<Lane> {
    const target = await sessions.open(ends.target, ends.scratch);
    await prepareTarget(target);
    return new Lane(sessions, ends, target);
  }

  /** Of the database that definitions come from. */
  get searchPath(): string {
    return this.ends.searchPaths.target;
  }

  /** The session on the source, which sees the moment of the snapshot. */
  async source(): Promise<Client> {
    if (this.reader === null) {
      const { source, state } = this.ends;
      const client = await this.sessions.open(source, source.database);
      await prepareSource(client, state);
      await this.setPath(client, 'source');
      this.reader = client;
    }
    return this.reader;
  }

  /**
   * Runs `work`, with the search_path of the database where a function finds nothing without it: everything in it is named
   * with its schema. `work` may be run twice.
   */
  async underEitherPath<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isOfSearchPath(error instanceof CopyFailure ? error.cause : error)) throw error;
      await this.target.query('rollback');
      // its transaction has failed, or its COPY was cut off
      await this.dropSource();
    }
    return this.underDatabasePath(work);
  }

  /** Runs `work` once, with the search_path of the database: for what must not be done twice, or would do something else. */
  async underDatabasePath<T>(work: () => Promise<T>): Promise<T> {
    await this.use(true);
    const result = await work();
    await this.use(false);
    return result;
  }

  private async use(isAsInDatabase: boolean): Promise<void> {
    this.isAsInDatabase = isAsInDatabase;
    await this.setPath(this.target, 'target');
    if (this.reader !== null) await this.setPath(this.reader, 'source');
  }

  private async setPath(db: Queryable, side: 'source' | 'target'): Promise<void> {
    if (this.isAsInDatabase) await setSearchPath(db, this.ends.searchPaths[side]);
    else await db.query(PIN_SESSION);
  }

  private async dropSource(): Promise<void> {
    if (this.reader !== null) await this.sessions.close(this.reader);
    this.reader = null;
  }
}

async function setSearchPath(db: Queryable, path: string): Promise<void> {
  await db.query(`select pg_catalog.set_config('search_path', $1, false)`, [path]);
}

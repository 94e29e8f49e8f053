import { randomUUID } from 'node:crypto';
import type { EnvironmentConfig } from '../../config/db-config.js';
import { redact } from '../../config/redaction.js';
import type { Queryable } from '../../database/queryable.js';
import { ensureSchema } from '../../database/schema/ensure-schema.js';
import { pinned } from '../../services/catalog-path.js';
import { asManageDbError } from '../../services/database-errors.js';
import { withPooledConnection } from '../../services/database-service.js';
import { ManageDbError } from '../errors.js';
import type { Level } from '../levels.js';
import type { Consent } from './consent.js';
import type { Decision } from './decide.js';
import { type OperationEvent, operationEntry } from './operation-log/entry.js';
import { writeOperationEntry } from './operation-log/write.js';
import { OPERATIONS, type OperationDefinition, type OperationName } from './operations.js';
import type { Target } from './target.js';

/** What is known when an entry is written. */
export interface About {
  /** `null`: it could not be reached. */
  readonly target: Target | null;
  readonly consent: Consent;
  readonly level: Level | null;
  /** It stands behind the kill switch, and somebody has said that it is meant. */
  readonly isKillSwitchOverridden: boolean;
}

interface Outcome {
  readonly durationMs?: number;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** One attempt in the operation log: that it was made, and what came of it. */
export class Journal {
  /** Ties the entries of this attempt together. */
  readonly attempt = randomUUID();
  private notes: Readonly<Record<string, unknown>> = {};

  constructor(
    private readonly operation: OperationName,
    private readonly config: EnvironmentConfig,
    private readonly options: object,
  ) {}

  /** For the entry of its success. */
  note(details: Readonly<Record<string, unknown>>): void {
    this.notes = { ...this.notes, ...details };
  }

  async denied(about: About, { code, reason }: Exclude<Decision, { kind: 'allow' }>): Promise<void> {
    // nothing happens: the refusal is worth more than its record
    await this.write('denied', about, { details: { code, message: reason } }).then(nothing, nothing);
  }

  /**
   * Runs `work` between two entries. Nothing is done that cannot be written down before.
   *
   * @throws what `work` throws; ManageDbError when the attempt can be written neither into the database nor into the file
   */
  async around<T>(about: About, work: () => Promise<T>): Promise<T> {
    const place = await this.write('attempted', about, {});
    if (place === 'file') await this.refuseUnrecorded(about);
    const started = performance.now();
    const end = (event: OperationEvent, details: Outcome['details'] = {}): Promise<void> =>
      this.write(event, about, { durationMs: Math.round(performance.now() - started), details }).then(nothing, nothing);
    let result: T;
    try {
      result = await work();
    } catch (error) {
      const { code, message } = asManageDbError(error);
      await end(code === 'INTERRUPTED' ? 'interrupted' : 'failed', { code, message: redact(message) });
      throw error;
    }
    await end('succeeded', this.notes);
    return result;
  }

  private async write(
    event: OperationEvent,
    { target, consent, level, isKillSwitchOverridden }: About,
    outcome: Outcome,
  ): Promise<'database' | 'file'> {
    const { environment, connection } = this.config;
    const { effect }: OperationDefinition = OPERATIONS[this.operation];
    const place = {
      environment,
      host: target?.host ?? connection.hosts[0]?.host ?? '',
      port: target?.port ?? connection.hosts[0]?.port ?? 0,
      database: connection.database,
      login: target?.user ?? connection.user,
    };
    const entry = operationEntry({
      ...place,
      attempt: this.attempt,
      event,
      operation: this.operation,
      level,
      reason: consent.reason?.trim() || null,
      arguments: { ...this.options },
      details: { ...outcome.details, ...(isKillSwitchOverridden ? { killSwitchOverridden: true } : {}) },
      durationMs: outcome.durationMs ?? null,
      application: connection.applicationName,
    });
    // a restore has another database under the name than before; one that was missing may be there now
    const mayCreateSchema = effect !== 'read' && (event === 'attempted' || event === 'succeeded');
    const write = (db: Queryable | null) => writeOperationEntry(entry, { ...place, db, mayCreateSchema });
    if (target === null) return write(null);
    let isReached = false;
    try {
      return await withPooledConnection(environment, (db) => {
        isReached = true;
        return write(pinned(db));
      });
    } catch (error) {
      if (isReached) throw error;
      return write(null);
    }
  }

  /** What is protected is not changed without a record that stays with it; stopping everything never waits for that. */
  private async refuseUnrecorded({ target }: About): Promise<void> {
    const { effect }: OperationDefinition = OPERATIONS[this.operation];
    if (effect === 'read' || this.operation === 'engage-kill-switch') return;
    if (target === null || !target.exists || !target.isProtected) return;
    // it may have a better reason
    await withPooledConnection(target.environment, (db) => ensureSchema(pinned(db)));
    throw new ManageDbError(
      'LOCK_TIMEOUT',
      `The attempt could not be written into the operation log of ${target.database}, which is protected. Nothing was changed.`,
      {
        hint: `Somebody may hold the log in an open transaction; see: manage_db show-operation-log --env ${this.config.environment}, and pg_locks of manage_db.operation_log_head.`,
      },
    );
  }
}

function nothing(): void {
  // what was done stays done, whether or not it can be written down
}

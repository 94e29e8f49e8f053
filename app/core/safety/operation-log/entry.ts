import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { MASK, redact } from '../../../config/redaction.js';
import type { OperationEntry, OperationEvent } from '../../../database/records/operation-log.js';
import { actorName } from '../../../services/actor-name.js';
import { packageVersion } from '../../../services/package-root.js';
import type { Level } from '../../levels.js';
import { osUser } from '../../os-user.js';

export type { OperationEntry, OperationEvent } from '../../../database/records/operation-log.js';

/** What an operation knows about its own attempt. */
export interface EntryParts {
  readonly attempt: string;
  readonly event: OperationEvent;
  readonly operation: string;
  readonly environment: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** Of the connection. */
  readonly application: string;
  readonly level: Level | null;
  readonly reason: string | null;
  /** The options of the call; what is no fact about it is left out. */
  readonly arguments: Readonly<Record<string, unknown>>;
  readonly details: Readonly<Record<string, unknown>>;
  readonly durationMs: number | null;
}

/** Says nothing about the work, or stands in a column of its own. */
const LEFT_OUT = ['env', 'environmentFlag', 'consent', 'signal', 'ask', 'onTarget', 'onProgress'];

const SECRET_NAME = /pass(word|phrase|wd)?|secret|token|credential|(^|[a-z_-])key$|private/i;

/** Characters of one text, and of all arguments or details as JSON: an entry must never fail for its size. */
const LONGEST_TEXT = 2000;
const LONGEST_JSON = 20_000;

/** One entry of the operation log, without secrets. */
export function operationEntry(parts: EntryParts): OperationEntry {
  const given = Object.entries(parts.arguments).filter(([name]) => !LEFT_OUT.includes(name));
  return {
    entry_id: randomUUID(),
    attempt: parts.attempt,
    event: parts.event,
    operation: parts.operation,
    environment: parts.environment,
    database_name: parts.database,
    host: parts.host,
    port: parts.port,
    level: parts.level,
    actor: loggableText(actorName()),
    os_user: osUser(),
    client_host: hostname(),
    application: loggableText(parts.application),
    tool: `manage_db ${packageVersion()}`,
    reason: parts.reason === null ? null : loggableText(parts.reason),
    arguments: loggable(Object.fromEntries(given)),
    details: loggable(parts.details),
    duration_ms: parts.durationMs,
    occurred_at: new Date().toISOString(),
    source: 'database',
  };
}

/** As JSON, without secrets, and not too long. */
function loggable(value: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const text = JSON.stringify(clean(value, []));
  if (text.length > LONGEST_JSON) return { shortened: loggableText(text) };
  return JSON.parse(text) as Readonly<Record<string, unknown>>;
}

/**
 * Texts, numbers, lists and plain objects; names are texts too. What else there is (connections, functions, bytes) says
 * nothing about the work.
 *
 * @param above the objects that `value` is in
 */
function clean(value: unknown, above: readonly object[]): unknown {
  if (typeof value === 'string') return loggableText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date || value instanceof URL) return clean(value.toJSON(), above);
  if (above.includes(value)) return undefined;
  if (Array.isArray(value)) return value.map((item) => clean(item, [...above, value]));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  const entries = Object.entries(value).map(([name, item]) => {
    const isSecret = SECRET_NAME.test(name) && item !== null && item !== undefined;
    return [loggableText(name), isSecret ? MASK : clean(item, [...above, value])] as const;
  });
  return Object.fromEntries(entries);
}

/** A text as it may be written down: without secrets, and not too long. Cut first, too: looking for secrets takes its time. */
export function loggableText(text: string): string {
  return cut(redact(text.slice(0, 2 * LONGEST_TEXT)));
}

/** PostgreSQL takes neither the character 0 nor half of a surrogate pair. */
function cut(text: string): string {
  const short = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
  return Buffer.from(short, 'utf8').toString('utf8').replaceAll('\u0000', '\ufffd');
}

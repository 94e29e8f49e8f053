import { redactDeep } from '../../app/config/redaction.js';
import type { ManageDbError } from '../../app/core/errors.js';

/** The one JSON object that `--json` prints (DESIGN: contract of the CLI). */
export interface Envelope<Data = unknown> {
  readonly version: number;
  readonly command: string | null;
  readonly environment: string | null;
  readonly database: { readonly host: string; readonly port: number; readonly name: string } | null;
  readonly ok: boolean;
  readonly data: Data;
  readonly warnings: readonly string[];
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint: string | null;
    readonly details: Readonly<Record<string, unknown>>;
  } | null;
}

interface EnvelopeParts {
  readonly command: string | null;
  readonly environment: string | null;
  readonly database: Envelope['database'];
  readonly data: unknown;
  readonly warnings: readonly string[];
  readonly error: ManageDbError | null;
}

/** {@link Envelope} as text. No secret passes. */
export function renderEnvelope(parts: EnvelopeParts): string {
  const { error } = parts;
  const envelope: Envelope = {
    version: 1,
    command: parts.command,
    environment: parts.environment,
    database: parts.database,
    ok: error === null,
    data: parts.data,
    warnings: parts.warnings,
    error:
      error === null ? null : { code: error.code, message: error.message, hint: error.hint, details: error.details },
  };
  // dates, undefined and the like become JSON first; then every string in it is redacted
  return JSON.stringify(redactDeep(JSON.parse(JSON.stringify(envelope, serialize))));
}

function serialize(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

import type { Queryable } from '../../../database/queryable.js';
import { shellQuote } from '../../shell-quote.js';

/** One finding about a database. */
export interface Check {
  readonly name: string;
  readonly status: CheckStatus;
  /** The measured value, for programs; null when it could not be read. Its unit is in {@link Check.detail}. */
  readonly value: string | number | null;
  /** One sentence for people. */
  readonly detail: string;
  /** A command or SQL to type; null when there is nothing to mend. */
  readonly fix: string | null;
}

export type CheckStatus = 'ok' | 'info' | 'warning' | 'critical';

export interface CheckContext {
  readonly environment: string;
  readonly isProtected: boolean;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly signal?: AbortSignal | undefined;
  readonly settings: { readonly server: 'embedded' | 'external' };
}

/** Looks at one thing. It may throw: whoever runs it reports that as a finding and goes on with the next one. */
export type RunCheck = (db: Queryable, context: CheckContext) => Promise<Omit<Check, 'name'>>;

/** Nothing to mend. */
export function ok(value: Check['value'], detail: string): Omit<Check, 'name'> {
  return { status: 'ok', value, detail, fix: null };
}

/** What an admin types for a login that may not read the records of manage_db. */
export function toBeReader({ environment, user }: Pick<CheckContext, 'environment' | 'user'>): string {
  return `manage_db grant-db-role viewer ${shellQuote(user)} --env ${environment}`;
}

/** The statements that mend the first few of what was found. */
export function statements(sql: readonly string[], shown = 5): string {
  return sql
    .slice(0, shown)
    .map((statement) => `${statement};`)
    .join(' ');
}

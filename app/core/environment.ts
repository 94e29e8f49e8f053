/**
 * Which environment is active. The single source of truth: nothing else reads these variables or files.
 * Imports nothing of the rest of `app/` but its leaves (errors, the workspace's root) and the names of environments.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import { assertKnownEnvironment, normalizeEnv } from './environment-names.js';
import { ManageDbError, messageOf } from './errors.js';
import { appendLine, readIfThere, writeFileAtomically } from './files.js';
import { osUser } from './os-user.js';
import { STATE_FOLDER, workspaceRoot } from './workspace-root.js';

/** Where a name for the active environment was found. `value` is as written; `environment` is its normal form. */
export interface EnvironmentCandidate {
  readonly source: string;
  readonly value: string | null;
  readonly environment: string | null;
  /** Why a value that is there does not count. */
  readonly ignored: string | null;
}

export interface DiscoveredEnvironment {
  readonly environment: string;
  readonly source: string;
  /** Every place that was looked at, the strongest first. */
  readonly candidates: readonly EnvironmentCandidate[];
}

export interface EnvironmentChange {
  readonly at: string;
  readonly from: string;
  readonly to: string;
  readonly actor: string;
  readonly pid: number;
}

const selected = new AsyncLocalStorage<{ readonly environment: string; readonly source: string }>();

const listeners = new Set<(change: EnvironmentChange) => void>();

/**
 * Finds the active environment, first match wins: `--env` or {@link withEnvironment} → `MANAGE_DB_ENV` → `APP_ENV` →
 * the file that `switch-env` writes → legacy variables named in `MANAGE_DB_LEGACY_VARIABLES` → `development`.
 * `NODE_ENV=production` never selects production: build tools and platforms set it everywhere.
 *
 * @throws ManageDbError `UNKNOWN_ENVIRONMENT` when the winning value is not a possible name, `UNREADABLE_FILE`.
 */
export function discover(root: string = workspaceRoot()): DiscoveredEnvironment {
  const candidates = listCandidates(root);
  const winner = candidates.find(({ value, ignored }) => value !== null && ignored === null);
  if (winner?.value == null) throw new Error('unreachable: the default is always a candidate');
  return { environment: normalizeFrom(winner.source, winner.value), source: winner.source, candidates };
}

/**
 * The active environment's name.
 *
 * @throws ManageDbError as {@link discover}
 * @example currentEnv() // 'development'
 */
export function currentEnv(): string {
  return selected.getStore()?.environment ?? discover().environment;
}

/**
 * Whether production is active.
 *
 * @example if (isProduction()) enableAlerts();
 */
export function isProduction(): boolean {
  return currentEnv() === 'production';
}

/**
 * Whether testing is active.
 *
 * @example if (!isTesting()) throw new Error('These tests delete data.');
 */
export function isTesting(): boolean {
  return currentEnv() === 'testing';
}

/**
 * Whether development is active.
 *
 * @example if (isDevelopment()) app.use(errorDetails());
 */
export function isDevelopment(): boolean {
  return currentEnv() === 'development';
}

/**
 * Makes `name` the active environment: the workspace's file, this process's variables (`MANAGE_DB_ENV`, opted-in legacy
 * ones) and the legacy file where one exists. Appends to `.manage_db/environment-changes.jsonl` and tells those who
 * subscribed with {@link onEnvironmentChange}.
 *
 * @returns what changed, from and to.
 * @throws ManageDbError `UNKNOWN_ENVIRONMENT`, `UNREADABLE_FILE` when the workspace cannot be written.
 * @example setEnvironment('prod')
 */
export function setEnvironment(name: string, options: { readonly workspace?: string } = {}): EnvironmentChange {
  const root = options.workspace ?? workspaceRoot();
  const environment = normalizeEnv(name);
  assertKnownEnvironment(environment, root);
  const change: EnvironmentChange = {
    at: new Date().toISOString(),
    from: previousEnvironment(root),
    to: environment,
    actor: osUser(),
    pid: process.pid,
  };
  try {
    const legacyFile = join(root, LEGACY_FILE);
    if (existsSync(legacyFile)) writeFileAtomically(legacyFile, `${environment}\n`);
    appendLine(join(root, STATE_FOLDER, 'environment-changes.jsonl'), JSON.stringify(change));
    // the one that decides comes last: if anything fails before it, nothing was switched
    writeFileAtomically(environmentFile(root), `${environment}\n`);
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `The environment was not switched: ${messageOf(error)}.`, {
      hint: `Make ${join(root, STATE_FOLDER)} writable, or choose for one shell: eval "$(manage_db switch-env ${environment} --shell)"`,
      cause: error,
    });
  }
  process.env.MANAGE_DB_ENV = environment;
  for (const variable of legacyVariables(root)) if (variable !== 'NODE_ENV') process.env[variable] = environment;
  for (const listener of listeners) listener(change);
  return change;
}

/**
 * Runs `fn` with another active environment, for this call and everything it awaits, and nothing else; other work in
 * the same process keeps its own. Writes no file.
 *
 * @throws ManageDbError `UNKNOWN_ENVIRONMENT`
 * @example await withEnvironment('testing', () => copyDatabase(…))
 */
export function withEnvironment<T>(name: string, fn: () => T, source = 'withEnvironment()'): T {
  const environment = normalizeEnv(name);
  assertKnownEnvironment(environment, workspaceRoot());
  return selected.run({ environment, source }, fn);
}

/** Calls `listener` after every {@link setEnvironment} of this process. Returns the function that unsubscribes. */
export function onEnvironmentChange(listener: (change: EnvironmentChange) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The file that `switch-env` writes. */
function environmentFile(root: string): string {
  return join(root, STATE_FOLDER, 'environment');
}

const LEGACY_FILE = '.flask_env_type';

function listCandidates(root: string): readonly EnvironmentCandidate[] {
  const override = selected.getStore();
  const candidates: EnvironmentCandidate[] = [
    candidate(override?.source ?? '--env', override?.environment),
    candidate('MANAGE_DB_ENV', process.env.MANAGE_DB_ENV),
    candidate('APP_ENV', process.env.APP_ENV),
    candidate(join(STATE_FOLDER, 'environment'), readEnvironmentFile(root)),
  ];
  const optedIn = legacyVariables(root);
  for (const variable of optedIn) {
    const value = process.env[variable];
    const refused = variable === 'NODE_ENV' && value !== undefined && /^\s*(prod|production|live)\s*$/i.test(value);
    candidates.push(candidate(variable, value, refused ? 'NODE_ENV never selects production' : null));
  }
  if (!optedIn.includes('NODE_ENV') && process.env.NODE_ENV) {
    candidates.push(candidate('NODE_ENV', process.env.NODE_ENV, 'not named in MANAGE_DB_LEGACY_VARIABLES'));
  }
  candidates.push(candidate('default', 'development'));
  return candidates;
}

function candidate(source: string, raw: string | undefined, ignored: string | null = null): EnvironmentCandidate {
  const value = raw === undefined || raw.trim() === '' ? null : raw.trim();
  return { source, value, environment: value === null ? null : tryNormalize(value), ignored };
}

function tryNormalize(value: string): string | null {
  try {
    return normalizeEnv(value);
  } catch {
    return null;
  }
}

function normalizeFrom(source: string, value: string): string {
  try {
    return normalizeEnv(value);
  } catch (error) {
    throw new ManageDbError(
      'UNKNOWN_ENVIRONMENT',
      `${source} names an impossible environment: ${JSON.stringify(value)}.`,
      {
        hint: source.includes('environment')
          ? 'Choose one: manage_db switch-env development'
          : `Correct ${source} or unset it.`,
        cause: error,
      },
    );
  }
}

function readEnvironmentFile(root: string): string | undefined {
  return readIfThere(environmentFile(root));
}

/** The variables of older systems that the workspace opts into, from the process or from the shared `.env`. */
function legacyVariables(root: string): readonly string[] {
  const names = process.env.MANAGE_DB_LEGACY_VARIABLES ?? sharedDotenv(root).MANAGE_DB_LEGACY_VARIABLES ?? '';
  return names
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function sharedDotenv(root: string): Readonly<Record<string, string>> {
  const text = readIfThere(join(root, '.env'));
  return text === undefined ? {} : parseDotenv(text);
}

function previousEnvironment(root: string): string {
  try {
    return discover(root).environment;
  } catch {
    return 'unknown';
  }
}

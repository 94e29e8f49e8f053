import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ManageDbError } from './errors.js';
import { nearest } from './nearest.js';
import { findConfigFile } from './workspace-root.js';

export const BUILT_IN_ENVIRONMENTS = ['development', 'testing', 'staging', 'production'] as const;

/** Other spellings of the built-in environments. */
const ALIASES: Readonly<Record<string, string>> = {
  dev: 'development',
  develop: 'development',
  test: 'testing',
  stage: 'staging',
  prod: 'production',
  live: 'production',
};

const SHORT_PREFIX: Readonly<Record<string, string>> = {
  development: 'DEV',
  testing: 'TEST',
  staging: 'STAGE',
  production: 'PROD',
};

/**
 * The normal form of an environment's name: aliases resolved (`prod` → `production`), lower case, trimmed.
 *
 * @throws ManageDbError `UNKNOWN_ENVIRONMENT` when the name could not be one (`prod;rm`).
 * @example normalizeEnv(' PROD ') // 'production'
 */
export function normalizeEnv(name: string): string {
  const lower = name.trim().toLowerCase();
  const normal = Object.hasOwn(ALIASES, lower) ? (ALIASES[lower] as string) : lower;
  if (/^[a-z][a-z0-9_-]{0,47}$/.test(normal)) return normal;
  throw new ManageDbError('UNKNOWN_ENVIRONMENT', `${JSON.stringify(name)} cannot be the name of an environment.`, {
    hint: `Use one of ${BUILT_IN_ENVIRONMENTS.join(', ')}, or a custom name of letters, digits, "-" and "_".`,
  });
}

/** The prefixes of the variables that belong to one environment only, the preferred one first (`PRODUCTION_`, `PROD_`). */
export function scopedPrefixes(environment: string): readonly string[] {
  const long = environment.toUpperCase().replaceAll('-', '_');
  const short = SHORT_PREFIX[environment];
  return short === undefined ? [`${long}_`] : [`${long}_`, `${short}_`];
}

/**
 * The environments that this workspace knows: the built-in ones, those of the configuration file as far as it has been
 * loaded (see {@link registerEnvironments}).
 */
export function knownEnvironments(root: string): readonly string[] {
  return [...new Set<string>([...BUILT_IN_ENVIRONMENTS, ...(registered.get(root) ?? [])])];
}

const registered = new Map<string, readonly string[]>();

/** Told by the configuration which custom environments the workspace declares. */
export function registerEnvironments(root: string, names: readonly string[]): void {
  registered.set(root, names);
}

/**
 * Refuses a name that is neither built in, nor declared, nor has an `.env.<name>` or a `<NAME>_DATABASE_URL`. A
 * configuration file that has not been loaded yet may declare it: then the decision is left to whoever loads it.
 *
 * @throws ManageDbError `UNKNOWN_ENVIRONMENT`
 */
export function assertKnownEnvironment(environment: string, root: string): void {
  const known = knownEnvironments(root);
  if (known.includes(environment)) return;
  if (existsSync(join(root, `.env.${environment}`)) || existsSync(join(root, `.env.${environment}.local`))) return;
  if (scopedPrefixes(environment).some((prefix) => process.env[`${prefix}DATABASE_URL`])) return;
  if (!registered.has(root) && findConfigFile(root) !== null) return;
  const meant = nearest(environment, [...known, ...Object.keys(ALIASES)]);
  const suggestion = meant === null ? '' : ` Did you mean ${meant}?`;
  throw new ManageDbError('UNKNOWN_ENVIRONMENT', `There is no environment "${environment}" here.${suggestion}`, {
    hint: `Known: ${known.join(', ')}. Declare another under "environments" in the configuration file or with an .env.${environment} file.`,
    details: { environment, known },
  });
}

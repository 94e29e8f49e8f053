import { readFile } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { BUILT_IN_ENVIRONMENTS, normalizeEnv, registerEnvironments } from '../core/environment-names.js';
import { ManageDbError, messageOf } from '../core/errors.js';
import * as z from '../core/schema.js';
import { cacheFolder, findConfigFile } from '../core/workspace-root.js';
import { SSL_MODES, TARGET_SESSION_ATTRS } from './connection-settings.js';
import { copySchema } from './copy-settings.js';
import { importWorkspaceFile } from './import-workspace-file.js';
import { killSwitchSchema } from './kill-switch-settings.js';
import { migrationsSchema } from './migration-settings.js';
import { parseJson } from './parse-json.js';
import { redact } from './redaction.js';
import { securitySchema } from './settings.js';

const secret = z.union([z.string(), z.strictObject({ file: z.string() }), z.strictObject({ command: z.string() })]);

/** In normal form: under another spelling a section would stand there and count for nothing. */
const environmentName = z.string().check(
  z.regex(/^[a-z][a-z0-9_-]{0,47}$/, { error: 'it cannot be the name of an environment', abort: true }),
  z.refine((name) => normalizeEnv(name) === name, {
    error: ({ input }) => `write it as "${normalizeEnv(String(input))}"`,
  }),
);

/** What is also a variable is described in setting-names.ts. */
const environmentSchema = z.strictObject({
  extends: z.optional(
    environmentName.check(
      z.describe(
        'The environment that this custom one takes what it does not say itself from; its connection is never inherited. Without it, its security is that of `staging`.',
      ),
    ),
  ),
  databaseUrl: z.optional(secret),
  password: z.optional(secret),
  service: z.optional(z.string()),
  sslMode: z.optional(z.enum(SSL_MODES)),
  sslRootCert: z.optional(z.string()),
  sslCert: z.optional(z.string()),
  sslKey: z.optional(z.string()),
  targetSessionAttrs: z.optional(z.enum(TARGET_SESSION_ATTRS)),
  applicationName: z.optional(z.string()),
  connectTimeoutMs: z.optional(z.number()),
  pool: z.optional(
    z.strictObject({
      max: z.optional(z.number()),
      idleTimeoutMs: z.optional(z.number()),
      statementTimeoutMs: z.optional(z.number()),
      lockTimeoutMs: z.optional(z.number()),
      idleInTransactionTimeoutMs: z.optional(z.number()),
    }),
  ),
  pgBinDir: z.optional(z.string()),
  security: z.optional(securitySchema),
  copy: z.optional(copySchema),
  migrations: z.optional(migrationsSchema),
});

const USUAL_FOLDERS = { backupsDir: 'backups', migrationsDir: 'migrations', triggersDir: 'triggers' } as const;

function folder(description: string, usual?: string) {
  return z.optional(z.string().check(z.meta({ description, ...(usual === undefined ? {} : { default: usual }) })));
}

/** What docs/reference/settings.md is made of as well: every key has its description here, or in setting-names.ts. */
export const configSchema = z.strictObject({
  name: z.optional(
    z.string().check(
      z.minLength(1),
      z.meta({
        description: 'The first part of the names of the databases on the embedded server: `clinic_development`.',
        default: 'app',
      }),
    ),
  ),
  backupsDir: folder('The folder of the backups, relative to the workspace.', USUAL_FOLDERS.backupsDir),
  migrationsDir: folder('The folder of the migrations, relative to the workspace.', USUAL_FOLDERS.migrationsDir),
  seedDir: folder(
    'The folder of the seed data (`initialize-db --seed`); without it, `seed` in that of the migrations.',
  ),
  triggersDir: folder(
    "The folder of the workspace's own triggers, relative to the workspace.",
    USUAL_FOLDERS.triggersDir,
  ),
  killSwitch: z.optional(killSwitchSchema),
  environments: z.optional(z.record(environmentName, environmentSchema)),
});

/** One environment in the configuration file. A custom one may `extends` another; its connection is never inherited. */
export type EnvironmentSection = z.infer<typeof environmentSchema>;

/** What `manage_db.config.{ts,js,json}` exports. */
export type ManageDbConfig = z.infer<typeof configSchema>;

/**
 * Types the configuration file; gives back what it is given.
 *
 * @example export default defineConfig({ environments: { preview: { extends: 'staging' } } });
 */
export function defineConfig(config: ManageDbConfig): ManageDbConfig {
  return config;
}

const BUILT_IN: readonly string[] = BUILT_IN_ENVIRONMENTS;

const cache = new Map<string, Promise<ManageDbConfig>>();

/**
 * The workspace's configuration file, parsed and checked; `{}` where there is none. Tells the environment module which
 * custom environments exist.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` with every problem at once, `UNREADABLE_FILE`
 * @example (await loadConfigFile('/srv/clinic')).environments?.production
 */
export function loadConfigFile(root: string): Promise<ManageDbConfig> {
  const cached = cache.get(root);
  if (cached !== undefined) return cached;
  const loading = load(root);
  cache.set(root, loading);
  loading.catch(() => cache.delete(root));
  return loading;
}

/** Forgets what was loaded: the next {@link loadConfigFile} reads the files again. */
export function forgetConfigFiles(): void {
  cache.clear();
}

async function load(root: string): Promise<ManageDbConfig> {
  const path = findConfigFile(root);
  const config = path === null ? {} : parseConfig(await importConfig(path, root), path);
  registerEnvironments(root, Object.keys(config.environments ?? {}));
  return config;
}

async function importConfig(path: string, root: string): Promise<unknown> {
  try {
    if (path.endsWith('.json')) return parseJson(await readFile(path, 'utf8'));
    return defaultExportOf(await importWorkspaceFile(path, cacheFolder(root), { manage_db: { defineConfig } }));
  } catch (error) {
    throw new ManageDbError('INVALID_CONFIGURATION', `${path} cannot be loaded: ${redact(messageOf(error))}`, {
      hint: `Correct ${basename(path)}; it must export an object by default.`,
      cause: error,
    });
  }
}

function defaultExportOf(module: unknown): unknown {
  return typeof module === 'object' && module !== null && 'default' in module ? module.default : module;
}

function parseConfig(raw: unknown, path: string): ManageDbConfig {
  const parsed = configSchema.safeParse(raw);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'the export'}: ${wordsOf(issue)}`);
    throw new ManageDbError('INVALID_CONFIGURATION', `${path} is not valid: ${problems.join('; ')}.`, {
      hint: `Correct ${basename(path)} and run: manage_db show-config`,
      details: { file: path, problems },
    });
  }
  const config = withoutUndefined(parsed.data);
  checkInheritance(config, path);
  return config;
}

/** zod says of a bad key only that it is one; why is inside. */
function wordsOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_key' ? issue.issues.map(({ message }) => message).join('; ') : issue.message;
}

/** `{ protected: undefined }` says nothing: merged as it stands it would take away what the environment has. */
function withoutUndefined<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutUndefined(item)])) as T;
}

function checkInheritance(config: ManageDbConfig, path: string): void {
  for (const name of Object.keys(config.environments ?? {})) lineageOf(name, config, path);
}

/**
 * The sections that environment `name` consists of, its own first, then those it extends.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` when `extends` names an unknown environment or goes in a circle.
 */
export function lineageOf(
  name: string,
  config: ManageDbConfig,
  path = 'manage_db.config',
): readonly [string, EnvironmentSection][] {
  const lineage: [string, EnvironmentSection][] = [];
  const seen = new Set<string>();
  let current: string | undefined = name;
  while (current !== undefined) {
    if (seen.has(current))
      throw inheritanceError(path, `"extends" goes in a circle: ${[...seen, current].join(' → ')}`);
    seen.add(current);
    const section: EnvironmentSection | undefined = config.environments?.[current];
    if (section !== undefined) lineage.push([current, section]);
    current = section?.extends;
    if (current !== undefined && config.environments?.[current] === undefined && !BUILT_IN.includes(current)) {
      throw inheritanceError(path, `environment "${[...seen].at(-1)}" extends "${current}", which is not declared`);
    }
  }
  return lineage;
}

function inheritanceError(path: string, problem: string): ManageDbError {
  return new ManageDbError('INVALID_CONFIGURATION', `${path} is not valid: ${problem}.`, {
    hint: 'Correct "extends" under "environments".',
  });
}

/** The folder names that a workspace may choose, absolute. */
export function foldersOf(root: string, config: ManageDbConfig) {
  const migrationsDir = resolve(root, config.migrationsDir ?? USUAL_FOLDERS.migrationsDir);
  return {
    backupsDir: resolve(root, config.backupsDir ?? USUAL_FOLDERS.backupsDir),
    migrationsDir,
    seedDir: config.seedDir === undefined ? resolve(migrationsDir, 'seed') : resolve(root, config.seedDir),
    triggersDir: resolve(root, config.triggersDir ?? USUAL_FOLDERS.triggersDir),
  };
}

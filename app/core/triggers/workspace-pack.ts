import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { importWorkspaceFile } from '../../config/import-workspace-file.js';
import { ManageDbError, messageOf } from '../errors.js';
import { cacheFolder, workspaceRoot } from '../workspace-root.js';
import {
  type AuditPackConfiguration,
  type AuditPackSettings,
  configureAuditPack,
  isAuditPackConfiguration,
} from './audit/audit-pack-settings.js';
import {
  type BasePackConfiguration,
  type BasePackSettings,
  configureBasePack,
  isBasePackConfiguration,
} from './base-pack-settings.js';
import { defineTrigger, isTriggerDeclaration, type TriggerDeclaration } from './declaration.js';
import { everyTable } from './every-table.js';
import { DEFAULT_FUNCTION_SCHEMA, type TriggerPack } from './pack.js';
import {
  configureSecurityPack,
  isSecurityPackConfiguration,
  type SecurityPackConfiguration,
} from './security-pack-settings.js';
import type { SecurityPolicy } from './security-policy.js';

/** What a workspace's `*.trigger.ts` files say. */
export interface WorkspaceTriggers {
  readonly pack: TriggerPack;
  readonly base: BasePackSettings;
  /** `null`: it is not used. */
  readonly security: SecurityPolicy | null;
  /** `null`: nothing is audited. */
  readonly audit: AuditPackSettings | null;
}

/** What `import … from 'manage_db'` gives in a trigger file: it must meet this very copy of it. */
const MODULE = { defineTrigger, everyTable, configureBasePack, configureSecurityPack, configureAuditPack };

/**
 * Reads all `*.trigger.ts` (or .js, .mts, .mjs) below `folder`, and the functions in `functions/*.sql`. Every export of a
 * file that is a declaration counts, also in arrays. A folder that does not exist declares nothing.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` naming the file
 */
export async function loadWorkspaceTriggers(folder: string): Promise<WorkspaceTriggers> {
  const files = declarationFiles(folder);
  const declarations: TriggerDeclaration[] = [];
  let base: BasePackSettings = {};
  let security: SecurityPolicy | null = null;
  let audit: AuditPackSettings | null = null;
  for (const [path, module] of await importAll(files)) {
    const exported = exportsOf(module);
    const found = exported.filter(isTriggerDeclaration);
    const configurations = exported.filter(isConfiguration);
    for (const { kind, settings } of configurations) {
      if (kind === 'manage_db.base-pack') base = settings;
      else if (kind === 'manage_db.security-pack') security = settings;
      else audit = settings;
    }
    if (configurations.length === 0 && found.length === 0)
      throw invalid(path, 'it exports no trigger', 'Write: export default defineTrigger(…)');
    declarations.push(...found);
  }
  return {
    pack: {
      name: 'workspace',
      functionFiles: functionFiles(folder),
      functionSchema: DEFAULT_FUNCTION_SCHEMA,
      declarations,
    },
    base,
    security,
    audit,
  };
}

type Configuration = BasePackConfiguration | SecurityPackConfiguration | AuditPackConfiguration;

function isConfiguration(value: unknown): value is Configuration {
  return isBasePackConfiguration(value) || isSecurityPackConfiguration(value) || isAuditPackConfiguration(value);
}

function declarationFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.trigger\.m?[jt]s$/.test(file) && !/(^|[\\/])node_modules[\\/]/.test(file))
    .sort()
    .map((file) => join(folder, file));
}

function functionFiles(folder: string): string[] {
  const functions = join(folder, 'functions');
  if (!existsSync(functions)) return [];
  return readdirSync(functions)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => join(functions, file));
}

async function importAll(files: readonly string[]): Promise<[path: string, module: unknown][]> {
  const modules: [string, unknown][] = [];
  for (const path of files) {
    try {
      modules.push([path, await importWorkspaceFile(path, cacheFolder(workspaceRoot()), { manage_db: MODULE })]);
    } catch (error) {
      const hint = error instanceof ManageDbError ? error.hint : null;
      throw invalid(path, messageOf(error), hint ?? 'Correct the file.', error);
    }
  }
  return modules;
}

function exportsOf(module: unknown): unknown[] {
  if (typeof module !== 'object' || module === null) return [];
  return Object.values(module).flat();
}

function invalid(path: string, problem: string, hint: string, cause?: unknown): ManageDbError {
  const shown = relative(process.cwd(), path);
  return new ManageDbError(
    'INVALID_CONFIGURATION',
    `${shown.startsWith('..') ? path : shown}: ${problem.replace(/\.$/, '')}.`,
    {
      hint,
      details: { file: path },
      cause,
    },
  );
}

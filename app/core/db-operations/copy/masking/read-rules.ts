import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { importWorkspaceFile } from '../../../../config/import-workspace-file.js';
import { redact } from '../../../../config/redaction.js';
import { ManageDbError, messageOf } from '../../../errors.js';
import { cacheFolder, workspaceRoot } from '../../../workspace-root.js';
import { defineMasking, invalidRules, type MaskingRules, parseMaskingRules } from './rules.js';
import { parseYamlRules } from './yaml-rules.js';

/** Where rules are looked for in a workspace, and in this order. */
const FILES = ['yaml', 'yml', 'ts', 'mts', 'js', 'mjs'].map((ending) => `masking.${ending}`);

/** The rules file of the workspace, or `null`. */
export function findRulesFile(root: string): string | null {
  const name = FILES.find((file) => existsSync(join(root, file)));
  return name === undefined ? null : join(root, name);
}

/**
 * Reads masking rules: those in `file`, relative to the workspace, or in its `masking.yaml` (`.yml`, `.ts`, `.mts`, `.js`, `.mjs`).
 *
 * @throws ManageDbError `NOT_FOUND` where there are none, `UNREADABLE_FILE`, `INVALID_CONFIGURATION` with the place of each problem
 * @example const rules = await readMaskingRules();
 */
export async function readMaskingRules(file?: string): Promise<MaskingRules> {
  const root = workspaceRoot();
  const path = file === undefined ? findRulesFile(root) : resolve(root, file);
  if (path === null || !existsSync(path)) {
    throw new ManageDbError(
      'NOT_FOUND',
      `There are no masking rules: ${file ?? join(root, 'masking.yaml')} is missing.`,
      {
        hint: 'Let them be proposed: manage_db masking init --env production',
      },
    );
  }
  const shown = relative(root, path).startsWith('..') ? path : relative(root, path);
  if (/\.ya?ml$/.test(path)) return parseYamlRules(await contentOf(path), shown);
  const placeOf = ([, ...where]: readonly PropertyKey[]): string =>
    [shown, where.map(String).join(' ')].join(' ').trim();
  return parseMaskingRules(await exportOf(path, root, shown), { file: shown, placeOf });
}

async function contentOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `${path} cannot be read: ${messageOf(error)}.`, {
      hint: `Check that you may read it: ls -l ${path}`,
      cause: error,
    });
  }
}

async function exportOf(path: string, root: string, shown: string): Promise<unknown> {
  try {
    const module = await importWorkspaceFile(path, cacheFolder(root), { manage_db: { defineMasking } });
    return typeof module === 'object' && module !== null && 'default' in module ? module.default : module;
  } catch (error) {
    throw invalidRules([
      `${shown} cannot be loaded: ${redact(messageOf(error))}; ${basename(path)} exports the rules by default.`,
    ]);
  }
}

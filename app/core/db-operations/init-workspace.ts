import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { appendFile, chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readEmbeddedEndpoint } from '../../config/embedded-endpoint.js';
import { packageRoot } from '../../services/package-root.js';
import { ManageDbError, messageOf } from '../errors.js';
import { findConfigFile } from '../workspace-root.js';
import { timestamp } from './migration/new-files.js';

export interface InitResult {
  readonly root: string;
  /** Relative to the workspace. */
  readonly created: readonly string[];
  /** What was there already and was left as it is. */
  readonly kept: readonly string[];
}

export interface InitOptions {
  /** Without the first migration and the first trigger: a database that is there already would have them pending. */
  readonly bare?: boolean;
}

interface PlannedFile {
  readonly path: string;
  readonly text: string;
  readonly mode?: number;
}

/**
 * Makes `root` a workspace: configuration, `.env` files, a first migration, a first trigger, a folder for backups.
 * What exists is never changed, except that missing lines are added to `.gitignore`.
 *
 * @throws ManageDbError `UNREADABLE_FILE` when the folder cannot be written
 * @example const { created } = await initWorkspace('/srv/clinic');
 */
export async function initWorkspace(root: string, { bare = false }: InitOptions = {}): Promise<InitResult> {
  const created: string[] = [];
  const kept: string[] = [];
  try {
    await mkdir(join(root, 'backups'), { recursive: true, mode: 0o700 });
    if (bare) await mkdir(join(root, 'migrations'), { recursive: true });
    const examples = bare ? [] : firstOfTheirKind(root);
    for (const file of [...plannedFiles(root), ...examples])
      ((await writeNew(root, file)) ? created : kept).push(file.path);
    ((await completeGitignore(root)) ? created : kept).push('.gitignore');
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `${root} cannot be made a workspace: ${messageOf(error)}.`, {
      hint: `Check that you may write there: ls -ld ${root}`,
      details: { created },
      cause: error,
    });
  }
  return { root, created, kept };
}

function plannedFiles(root: string): readonly PlannedFile[] {
  const secret = 0o600;
  return [
    ...(findConfigFile(root) === null
      ? [{ path: 'manage_db.config.mjs', text: template('manage_db.config.mjs').replaceAll('{{name}}', nameFor(root)) }]
      : []),
    { path: '.env.example', text: readFileSync(join(packageRoot(), '.env.example'), 'utf8') },
    { path: '.env', text: template('env'), mode: secret },
    ...['staging', 'production'].map((environment) => ({
      path: `.env.${environment}`,
      text: template('env.environment').replaceAll('{{environment}}', environment),
      mode: secret,
    })),
    { path: 'backups/.gitkeep', text: '' },
  ];
}

/** Examples, only where there is nothing yet: an existing project gets no foreign table or trigger. */
function firstOfTheirKind(root: string): readonly PlannedFile[] {
  const isEmpty = (folder: string): boolean =>
    !existsSync(join(root, folder)) || readdirSync(join(root, folder)).length === 0;
  if (!isEmpty('migrations') || !isEmpty('triggers')) return [];
  return [
    { path: `migrations/${timestamp(new Date())}_create_notes.sql`, text: template('migration.sql') },
    { path: 'triggers/notes-title.trigger.ts', text: template('triggers/notes-title.trigger.ts') },
    { path: 'triggers/functions/tidy_note_title.sql', text: template('triggers/functions/tidy_note_title.sql') },
  ];
}

/** The project's own name, unless there are embedded databases already: those keep the name they have. */
function nameFor(root: string): string {
  if (readEmbeddedEndpoint(root) !== null) return 'app';
  const path = join(root, 'package.json');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const name = /"name"\s*:\s*"(?:@[^/"]*\/)?([a-z0-9._-]+)"/i.exec(text)?.[1] ?? basename(root);
  return name.toLowerCase().replaceAll(/[^a-z0-9_-]/g, '_');
}

async function writeNew(root: string, { path, text, mode = 0o644 }: PlannedFile): Promise<boolean> {
  const target = join(root, path);
  if (existsSync(target)) return false;
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, text, { flag: 'wx', mode });
  await chmod(target, mode);
  return true;
}

async function completeGitignore(root: string): Promise<boolean> {
  const path = join(root, '.gitignore');
  const existing = existsSync(path) ? await readFile(path, 'utf8') : '';
  const present = new Set(existing.split(/\r?\n/).map((line) => line.trim()));
  const missing = template('gitignore')
    .split('\n')
    .filter((line) => line !== '' && !present.has(line));
  if (missing.length === 0) return false;
  const separator = existing === '' || existing.endsWith('\n') ? '' : '\n';
  await appendFile(path, `${separator}${missing.join('\n')}\n`);
  return true;
}

function template(name: string): string {
  return readFileSync(join(packageRoot(), 'templates', 'workspace', name), 'utf8');
}

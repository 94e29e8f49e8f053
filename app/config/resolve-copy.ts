import { workspaceRoot } from '../core/workspace-root.js';
import { type EnvironmentSection, lineageOf, loadConfigFile, type ManageDbConfig } from './config-file.js';
import type { ConfigValue } from './config-report.js';
import type { AfterCopyHook, CopySettings, QuarantinedRows } from './copy-settings.js';

type CopySection = NonNullable<EnvironmentSection['copy']>;
type RowsSection = NonNullable<NonNullable<CopySection['quarantine']>['rows']>[string];

/**
 * What is done with copies that are made for `environment` before anybody can reach them: `copy` in its section of the
 * configuration file and in those that it `extends`. Rows are added up by table; of lists the nearest one counts.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` with every problem at once, `UNREADABLE_FILE`
 * @example const { quarantine, afterCopy } = await readCopySettings('testing');
 */
export async function readCopySettings(environment: string): Promise<CopySettings> {
  const sections = sectionsOf(environment, await loadConfigFile(workspaceRoot()));
  const rows = sections.map(({ copy }) => copy.quarantine?.rows ?? {}).reverse();
  return {
    quarantine: {
      rows: Object.fromEntries(
        Object.entries<RowsSection>(Object.assign({}, ...rows)).map(([table, section]) => [table, rowsOf(section)]),
      ),
      keep: sections.find(({ copy }) => copy.quarantine?.keep !== undefined)?.copy.quarantine?.keep ?? [],
    },
    afterCopy: sections.find(({ copy }) => copy.afterCopy !== undefined)?.copy.afterCopy ?? [],
  };
}

/** The same for `show-config`, each with the section that says it; nothing where nothing is set. */
export function copyRows(environment: string, file: ManageDbConfig): readonly ConfigValue[] {
  const shown = new Map<string, ConfigValue>();
  for (const { name, copy } of sectionsOf(environment, file)) {
    const source = `environments.${name}.copy in the configuration file`;
    const { rows = {}, keep } = copy.quarantine ?? {};
    const values: Record<string, string | undefined> = {
      ...Object.fromEntries(
        Object.entries(rows).map(([table, section]) => [`quarantine.rows.${table}`, wordsOf(rowsOf(section))]),
      ),
      'quarantine.keep': keep?.join(', '),
      afterCopy: copy.afterCopy?.map(hookName).join(', '),
    };
    for (const [key, value] of Object.entries(values)) {
      const setting = `copy.${key}`;
      if (value !== undefined && !shown.has(setting)) shown.set(setting, { name: setting, value, source });
    }
  }
  return [...shown.values()];
}

/** What a hook is called in messages. */
export function hookName(hook: AfterCopyHook): string {
  if (typeof hook === 'string') return hook;
  return hook.name === '' ? 'unnamed function' : `function ${hook.name}`;
}

function sectionsOf(environment: string, file: ManageDbConfig) {
  return lineageOf(environment, file).flatMap(([name, { copy }]) => (copy === undefined ? [] : [{ name, copy }]));
}

function rowsOf({ where, set }: RowsSection): QuarantinedRows {
  const condition = { where: where ?? null };
  return set === undefined ? { action: 'delete', ...condition } : { action: 'set', set, ...condition };
}

/** Values are left out: they are nobody's business on a screen. */
function wordsOf(rows: QuarantinedRows): string {
  const what = rows.action === 'delete' ? 'delete' : `set ${Object.keys(rows.set).join(', ')}`;
  return rows.where === null ? `${what} (all rows)` : `${what} where ${rows.where}`;
}

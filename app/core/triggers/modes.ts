import { escapeIdentifier } from 'pg';
import type { SpecialMode } from '../../database/catalog/special-modes.js';
import { MODE_LETTERS, type TriggerMode } from '../../database/catalog/trigger-sql.js';

/** The letter in pg_trigger.tgenabled. */
export function modeLetter(mode: TriggerMode): SpecialMode['mode'] {
  return MODE_LETTERS[mode];
}

/** Sets the mode of one trigger; `'tree'`: and of its clones on partitions. */
export function setMode({ schema, table, name, mode }: SpecialMode, reach: 'one' | 'tree'): string {
  const words = { O: 'enable', D: 'disable', R: 'enable replica', A: 'enable always' } as const;
  const relation = `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
  return `alter table ${reach === 'one' ? 'only ' : ''}${relation} ${words[mode]} trigger ${escapeIdentifier(name)}`;
}

import { join } from 'node:path';
import { packageRoot } from '../../services/package-root.js';
import type { BasePackSettings } from './base-pack-settings.js';
import { defineTrigger, type TriggerDeclaration } from './declaration.js';
import { type EveryTable, everyTable } from './every-table.js';
import { DEFAULT_FUNCTION_SCHEMA, type TriggerPack } from './pack.js';

const TIMESTAMP_TYPES = ['timestamp with time zone', 'timestamp without time zone'];

/**
 * The base pack: timestamps and user tracking on every table that has one of the four columns.
 *
 * A trigger is told in its arguments which of the columns the table has. That is cheaper than asking for every row, and
 * hence each trigger is declared for both columns, for the first only and for the second only.
 */
export function basePack(settings: BasePackSettings = {}): TriggerPack {
  const folder = join(packageRoot(), 'app', 'database', 'triggers', 'base');
  const systemUsers = Object.entries(settings.systemUser ?? {});
  const configured = systemUsers.map(([name]) => name);
  const except = settings.except ?? [];
  return {
    name: 'base',
    functionFiles: ['update_timestamp', 'track_user_changes', 'track_given_user'].map((name) =>
      join(folder, `${name}.sql`),
    ),
    functionSchema: settings.functionSchema ?? DEFAULT_FUNCTION_SCHEMA,
    declarations: [
      ...declareFor('created_at', 'updated_at', { types: TIMESTAMP_TYPES, except }, (table, columns) =>
        onWrite('update_timestamp', table, columns),
      ),
      ...declareFor('created_by', 'updated_by', { except: [...except, ...configured] }, (table, columns) =>
        onWrite('track_user_changes', table, columns),
      ),
      ...systemUsers.flatMap(([name, value]) =>
        declareFor('created_by', 'updated_by', { only: [name], except }, (table, columns) =>
          onWrite('track_user_changes', table, [...columns, `system_user=${value}`]),
        ),
      ),
      defineTrigger('track_given_user', {
        table: everyTable({ having: ['updated_by'], except }),
        timing: 'before',
        on: ['update'],
        updateOf: ['updated_by'],
        function: 'track_given_user',
      }),
    ],
  };
}

interface Scope {
  readonly types?: readonly string[] | null;
  readonly only?: readonly string[];
  readonly except: readonly string[];
}

function declareFor(
  first: string,
  second: string,
  { types = null, ...scope }: Scope,
  declare: (table: EveryTable, columns: readonly string[]) => TriggerDeclaration,
): TriggerDeclaration[] {
  return [
    declare(everyTable({ having: { [first]: types, [second]: types }, ...scope }), [first, second]),
    declare(everyTable({ having: { [first]: types }, lacking: [second], ...scope }), [first]),
    declare(everyTable({ having: { [second]: types }, lacking: [first], ...scope }), [second]),
  ];
}

function onWrite(name: string, table: EveryTable, args: readonly string[]): TriggerDeclaration {
  return defineTrigger(name, { table, timing: 'before', on: ['insert', 'update'], function: name, args });
}

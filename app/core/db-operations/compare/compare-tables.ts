import type { Unreadable } from '../../../database/catalog/unreadable.js';
import { searchPathOf } from '../database-state/search-path.js';
import { countTableRows, listTablesWithoutRows } from '../database-state/table-rows.js';
import type { Selection } from '../manifest/selection.js';
import { isInPart, type Part } from './part.js';
import { onBoth, type Sides } from './side.js';

export interface TableContent {
  readonly rows: number;
  /** Of names and values of the columns that are not generated, whatever the order of rows and columns. */
  readonly checksum: string;
}

export interface ComparedTable {
  readonly schema: string;
  readonly name: string;
  /** `not_compared`: the login cannot read all of it on both sides. */
  readonly state: 'equal' | 'different' | 'only_in_from' | 'only_in_to' | 'not_compared';
  /** `null` where it was not read. */
  readonly from: TableContent | null;
  readonly to: TableContent | null;
}

type Named = Pick<ComparedTable, 'schema' | 'name'>;

/** What is in each table that both have, partitions one by one. */
export async function compareTables(
  sides: Sides,
  part: Part,
  unreadable: readonly Unreadable[],
): Promise<ComparedTable[]> {
  const selection = part.selection ?? undefined;
  const [ours, theirs] = await onBoth(sides, ({ client }) => listTablesWithoutRows(client, selection));
  const [inFrom, inTo] = [keysOf(ours), keysOf(theirs)];
  const unread = keysOf(unreadable.filter(({ kind }) => kind === 'table'));
  const all = new Map([...ours, ...theirs].map(({ schema, name }) => [keyOf({ schema, name }), { schema, name }]));
  const wanted = [...all].filter(([, { schema, name }]) => isInPart(part, schema, name));
  const isCounted = (key: string) => inFrom.has(key) && inTo.has(key) && !unread.has(key);
  const counted = new Set(wanted.map(([key]) => key).filter(isCounted));
  const left = [...all].filter(([key]) => !counted.has(key)).map(([, table]) => ({ ...table, oid: 0 }));
  sides.onProgress({ step: `comparing the rows of ${counted.size} tables` });
  const [from, to] = await onBoth(sides, ({ client, properties }, signal) =>
    countTableRows(client, {
      selection: withoutRowsOf(left, part.selection),
      withChecksums: true,
      searchPath: searchPathOf(properties),
      signal,
    }).then(contentsOf),
  );
  return wanted
    .map(([key, table]): ComparedTable => {
      const content = { from: from.get(key) ?? null, to: to.get(key) ?? null };
      const isEqual = content.from?.rows === content.to?.rows && content.from?.checksum === content.to?.checksum;
      const present = isEqual ? 'equal' : 'different';
      const state = counted.has(key)
        ? present
        : unread.has(key)
          ? 'not_compared'
          : inFrom.has(key)
            ? 'only_in_from'
            : 'only_in_to';
      return { ...table, state, ...content };
    })
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

function withoutRowsOf(excludedData: Selection['excludedData'], selection: Selection | null): Selection {
  const { schemas = [], tables = [] } = selection ?? {};
  return { said: { schemas: [], tables: [], excludedData: [] }, schemas, tables, excludedData };
}

function contentsOf(counted: Awaited<ReturnType<typeof countTableRows>>): Map<string, TableContent> {
  return new Map(
    counted.flatMap((table) =>
      table.rows === null || table.checksum === null
        ? []
        : [[keyOf(table), { rows: table.rows, checksum: table.checksum }] as const],
    ),
  );
}

function keysOf(tables: readonly Named[]): ReadonlySet<string> {
  return new Set(tables.map(keyOf));
}

function keyOf({ schema, name }: Named): string {
  return JSON.stringify([schema, name]);
}

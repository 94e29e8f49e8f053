import type { DroppableSchema } from '../../../database/catalog/droppable-schemas.js';
import type { UserObject } from '../../../database/catalog/user-objects.js';
import { plural } from '../../plural.js';

export interface DropStatement {
  /** For people: `tables`. */
  readonly kind: string;
  /** How many objects it names. */
  readonly count: number;
  readonly sql: string;
}

/** One statement names at most this many, so that progress shows and an interruption is noticed. */
const OBJECTS_A_STATEMENT = 500;

/**
 * The statements that drop `objects` and then `schemas`, which have to be empty by then. Every other one cascades and forgives what an earlier one took along,
 * so circular foreign keys and views across schemas need no sorting. The order only keeps the work small: with its table
 * gone, a type has no columns left that would have to be dropped one by one.
 */
export function dropStatements(
  objects: readonly UserObject[],
  schemas: readonly DroppableSchema[],
): readonly DropStatement[] {
  const wordOf = ({ kind }: UserObject) => DROP[kind] ?? kind;
  const words = [...new Set(objects.map(wordOf))].sort((a, b) => rank(a) - rank(b));
  return [
    ...words.flatMap((word) =>
      chunked(
        word,
        objects.filter((object) => wordOf(object) === word),
      ),
    ),
    ...chunked('schema', schemas, 'restrict'),
  ];
}

/** What DROP calls the kinds that the catalog names otherwise. DROP ROUTINE also takes an aggregate without arguments. */
const DROP: Readonly<Record<string, string>> = {
  function: 'routine',
  procedure: 'routine',
  aggregate: 'routine',
  enum: 'type',
  domain: 'type',
  range: 'type',
  'composite type': 'type',
  'statistics object': 'statistics',
};

/** What is not called as DROP calls it. */
const SHOWN: Readonly<Record<string, string>> = { statistics: 'statistics object' };

const ORDER = ['table', 'foreign table', 'materialized view', 'view', 'sequence', 'routine'];

function rank(kind: string): number {
  const place = ORDER.indexOf(kind);
  return place === -1 ? ORDER.length : place;
}

function chunked(
  word: string,
  objects: readonly { readonly identity: string }[],
  behaviour: 'cascade' | 'restrict' = 'cascade',
): DropStatement[] {
  const size = ONE_A_STATEMENT.has(word) ? 1 : OBJECTS_A_STATEMENT;
  const chunks: DropStatement[] = [];
  for (let start = 0; start < objects.length; start += size) {
    const names = objects.slice(start, start + size).map(({ identity }) => identity);
    chunks.push({
      kind: plural(SHOWN[word] ?? word),
      count: names.length,
      sql: `drop ${word} if exists ${names.join(', ')} ${behaviour}`,
    });
  }
  return chunks;
}

/** DROP takes no list of these. */
const ONE_A_STATEMENT = new Set(['operator class', 'operator family', 'conversion']);

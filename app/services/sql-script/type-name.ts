import type { TypeName } from 'libpg-query';
import { textsOf } from './parse-tree.js';

/** What the parser calls the types that have a name of their own in SQL. */
const SQL_NAMES: Readonly<Record<string, string>> = {
  bool: 'boolean',
  bpchar: 'character',
  float4: 'real',
  float8: 'double precision',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
  timetz: 'time with time zone',
  time: 'time without time zone',
  varbit: 'bit varying',
  varchar: 'character varying',
};

/** A type as PostgreSQL prints it: `int[]` is `integer[]`. Without its modifiers, which no signature contains. */
export function typeName({ names, arrayBounds = [], setof, pct_type }: TypeName): string {
  const parts = textsOf(names);
  const [only, ...more] = parts[0] === 'pg_catalog' ? parts.slice(1) : parts;
  const name = more.length > 0 ? parts.join('.') : (SQL_NAMES[only ?? ''] ?? only ?? '');
  return `${setof ? 'setof ' : ''}${name}${pct_type ? '%type' : ''}${'[]'.repeat(arrayBounds.length)}`;
}

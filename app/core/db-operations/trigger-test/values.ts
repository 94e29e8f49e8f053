import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import type { ValueType } from '../../../database/catalog/value-types.js';

/** Values in the text form of their type. */
export type Texts = readonly string[];

export interface TypeUse {
  readonly oid: number;
  /** The length, precision and the like, as the catalog has them (`atttypmod`); -1 for none. */
  readonly modifier: number;
}

const DAY_MS = 86_400_000;
/** How deep types that are made of others are followed. */
const DEEPEST = 8;
/** Which value of each attribute makes a composite one; one that no attribute has gives nulls. */
const COMPOSITES = [0, 1, 2, 100];

/**
 * Random values of a type and a few ordinary ones, the most usual first. An extension's type gets what types usually
 * accept: the server has to say which of that it takes.
 */
export function valuesOf(use: TypeUse, types: ReadonlyMap<number, ValueType>, depth = 0): Texts {
  const type = types.get(use.oid);
  if (type === undefined || depth > DEEPEST) return [];
  const inner = (): Texts =>
    type.inner === null
      ? []
      : valuesOf(
          {
            oid: type.inner.oid,
            // the length of varchar(5)[] is that of its elements
            modifier: type.kind === 'array' ? use.modifier : type.inner.modifier,
          },
          types,
          depth + 1,
        );
  switch (type.kind) {
    case 'domain':
      return inner();
    case 'enum':
      return shuffled(type.labels);
    case 'array':
      return [...inner().map((element) => `{${quoted(element)}}`), '{}'];
    case 'range':
      // both ends the same: in order for every type, and overlapping nothing else
      return [...inner().map((bound) => `[${quoted(bound)},${quoted(bound)}]`), 'empty'];
    case 'multirange':
      return [...inner().map((range) => `{${range}}`), '{}'];
    case 'composite': {
      const parts = type.attributes.map((attribute) => valuesOf(attribute, types, depth + 1));
      return COMPOSITES.map(
        (place) => `(${parts.map((part) => (part[place] === undefined ? '' : quoted(part[place]))).join(',')})`,
      );
    }
    default:
      return type.builtIn === null ? valuesOfOther(type, use.modifier) : builtIn(type.builtIn, use.modifier);
  }
}

/** Whether the server has to say which of {@link valuesOf} it takes. */
export function isUncertain(oid: number, types: ReadonlyMap<number, ValueType>): boolean {
  const type = types.get(oid);
  if (type === undefined || type.checks.length > 0 || !type.isNullable) return true;
  const parts = [...(type.inner === null ? [] : [type.inner]), ...type.attributes];
  if (parts.length > 0) return parts.some((part) => isUncertain(part.oid, types));
  return type.kind !== 'enum' && (type.builtIn === null || !(type.builtIn in BUILT_IN));
}

/** Whether a value of it may be null: a domain may forbid that, and so may the one on which it is built. */
export function mayBeNull(oid: number, types: ReadonlyMap<number, ValueType>): boolean {
  const type = types.get(oid);
  if (type === undefined || !type.isNullable) return type === undefined;
  return type.kind !== 'domain' || type.inner === null || mayBeNull(type.inner.oid, types);
}

/** A text of letters, so that it is also a name, a word and an identifier. */
function word(length = 10): string {
  return Array.from({ length }, () => String.fromCharCode(97 + randomInt(26))).join('');
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`;
}

function shuffled(texts: Texts): Texts {
  return texts
    .map((text) => [Math.random(), text] as const)
    .sort(([a], [b]) => a - b)
    .map(([, text]) => text);
}

function builtIn(name: string, modifier: number): Texts {
  return BUILT_IN[name]?.(modifier) ?? usualTexts();
}

const whole = (most: number) => (): Texts => [String(randomInt(1000, most)), '1', '0', '2', '10', '100', '-1'];
const real = (): Texts => [`${randomInt(1000, 100_000)}.5`, '1', '0', '0.5', '100', '-1'];

function decimal(modifier: number): Texts {
  if (modifier < 4) return [`${randomInt(1000, 1_000_000)}.25`, '1', '0', '0.5', '10', '100', '-1'];
  const precision = ((modifier - 4) >> 16) & 0xffff;
  // eleven bits with a sign since PostgreSQL 15, where the scale may be negative
  const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
  const digits = Math.min(Math.max(precision - scale, 0), 9);
  const integer = digits === 0 ? '0' : String(randomInt(1, 10 ** Math.min(digits, 6)));
  const fraction =
    scale <= 0 ? '' : `.${String(randomInt(1, 10 ** Math.min(scale, 6))).padStart(Math.min(scale, 6), '0')}`;
  return [
    `${integer}${fraction}`,
    integer,
    ...(digits === 0 ? ['0.1', '0'] : ['1', '0', '-1', ...(digits > 1 ? ['10'] : [])]),
  ];
}

function characters(modifier: number): Texts {
  const most = modifier < 4 ? Number.POSITIVE_INFINITY : modifier - 4;
  const texts = [
    word(Math.min(10, most)),
    `${word(6)}@example.com`,
    `https://example.com/${word(6)}`,
    `+49 30 ${randomInt(1_000_000, 9_999_999)}`,
    word(1).toUpperCase(),
    String(randomInt(10_000_000)),
    randomUUID(),
    '',
  ];
  return texts.filter((text) => text.length <= most);
}

function days(): readonly Date[] {
  const random = new Date(Date.UTC(2000, 0, 1) + randomInt(365 * 30) * DAY_MS + randomInt(DAY_MS));
  const now = Date.now();
  return [
    random,
    new Date(random.getTime() + randomInt(1, 300) * DAY_MS),
    new Date(now),
    new Date(now + DAY_MS),
    new Date(now - DAY_MS),
    new Date(Date.UTC(1970, 0, 2)),
    new Date(Date.UTC(2999, 11, 30)),
  ];
}

const dates = (): Texts => days().map((day) => day.toISOString().slice(0, 10));
const moments = (): Texts => days().map((day) => day.toISOString());
const clock = (): Texts =>
  days()
    .map((day) => day.toISOString().slice(11, 19))
    .concat('08:00:00', '18:00:00');
const bits = (modifier: number, length: number): Texts => {
  const wanted = modifier > 0 ? modifier : length;
  return [0, 1].map(() => Array.from({ length: wanted }, () => randomInt(2)).join(''));
};
const json = (): Texts => [`{"${word(6)}": "${word()}"}`, '{}', '[]', `"${word()}"`, String(randomInt(1000)), 'null'];
const octet = (): number => randomInt(1, 255);
const mac = (length: number): Texts => [
  randomBytes(length)
    .toString('hex')
    .replaceAll(/..(?!$)/g, '$&:'),
];
const place = (): string => `(${randomInt(1000)},${randomInt(1000)})`;

/** By pg_type.typname. */
const BUILT_IN: Readonly<Record<string, (modifier: number) => Texts>> = {
  int2: whole(32_000),
  int4: whole(2_000_000_000),
  int8: whole(2 ** 47),
  oid: () => [String(randomInt(100_000, 2 ** 31))],
  numeric: decimal,
  float4: real,
  float8: real,
  money: () => [`${randomInt(1, 10_000)}.50`, '0', '1'],
  bool: () => shuffled(['true', 'false']),
  text: characters,
  varchar: characters,
  // without a length, character is one character
  bpchar: (modifier) => characters(modifier < 4 ? 5 : modifier),
  char: () => [word(1)],
  name: () => [word()],
  uuid: () => [randomUUID()],
  date: dates,
  timestamp: moments,
  timestamptz: moments,
  time: clock,
  timetz: () => clock().map((time) => `${time}+00`),
  interval: () => [`${randomInt(1, 1000)} minutes`, '1 day', '1 mon', '0'],
  json,
  jsonb: json,
  jsonpath: () => ['$'],
  bytea: () => [`\\x${randomBytes(8).toString('hex')}`, '\\x'],
  bit: (modifier) => bits(modifier, 1),
  varbit: (modifier) => bits(modifier, 8),
  inet: () => [`10.${octet()}.${octet()}.${octet()}`, `10.${octet()}.0.0/16`, '::1'],
  cidr: () => [`10.${octet()}.${octet()}.0/24`, '::1/128'],
  macaddr: () => mac(6),
  macaddr8: () => mac(8),
  point: () => [place()],
  line: () => [`{1,-1,${randomInt(1000)}}`],
  lseg: () => [`[${place()},(2000,2000)]`],
  box: () => [`(2000,2000),${place()}`],
  path: () => [`[${place()},(2000,2000)]`, `(${place()},(2000,2000))`],
  polygon: () => [`(${place()},(2000,0),(0,2000))`],
  circle: () => [`<${place()},${randomInt(1, 100)}>`],
  tsvector: () => [word()],
  tsquery: () => [word()],
  xml: () => [`<${word(5)}/>`],
  pg_lsn: () => [
    `0/${randomInt(1, 2 ** 31)
      .toString(16)
      .toUpperCase()}`,
  ],
  pg_snapshot: () => ['1:1:'],
  txid_snapshot: () => ['1:1:'],
  xid: () => [String(randomInt(1000, 2 ** 31))],
  xid8: () => [String(randomInt(1000, 2 ** 31))],
  cid: () => ['0'],
  tid: () => [`(0,${randomInt(1, 1000)})`],
  int2vector: () => ['1 2'],
  oidvector: () => ['1 2'],
  refcursor: () => [word()],
  regclass: () => ['pg_catalog.pg_class'],
  regtype: () => ['integer'],
  regproc: () => ['pg_catalog.now'],
  regprocedure: () => ['pg_catalog.now()'],
  regoper: () => ['pg_catalog.!!'],
  regoperator: () => ['pg_catalog.=(integer,integer)'],
  regnamespace: () => ['pg_catalog'],
  regrole: () => ['pg_monitor'],
  regcollation: () => ['pg_catalog."C"'],
  regconfig: () => ['simple'],
  regdictionary: () => ['simple'],
};

function valuesOfOther({ category }: ValueType, modifier: number): Texts {
  return category === 'S' ? characters(-1) : usualTexts(modifier);
}

/** Among these are values of citext, hstore, ltree, cube, seg, isbn, vector, geometry and semver. */
function usualTexts(modifier = -1): Texts {
  const length = modifier > 0 && modifier < 20_000 ? modifier : 3;
  return [
    word(),
    `${word(4)}=>${word(4)}`,
    String(randomInt(1, 1000)),
    `[${Array.from({ length }, () => randomInt(1, 100)).join(',')}]`,
    `(${randomInt(100)},${randomInt(100)})`,
    `POINT(${randomInt(100)} ${randomInt(100)})`,
    '1.0.0',
    '978-0-306-40615-7',
    '{}',
    '',
  ];
}

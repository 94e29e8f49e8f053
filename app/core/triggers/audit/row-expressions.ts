import { escapeIdentifier, escapeLiteral } from 'pg';
import type { AuditableColumn, AuditableKey, AuditableTable } from '../../../database/catalog/auditable-tables.js';

/** What the functions of the log need to know about a table. */
export interface AuditedColumns {
  readonly redact: readonly string[];
  readonly ignore: readonly string[];
}

/**
 * SQL about the rows of one table whose columns are known.
 *
 * It runs with the rights of the log's owner, so nothing in it may call what somebody else has made: `to_jsonb` and
 * `::text` look for casts, which the owner of a type may have defined; `concat` writes a value as its type does.
 */
export class RowExpressions {
  /** What identifies a row in the log, and neither is secret nor ignored; `null`: nothing does. */
  readonly key: AuditableKey | null;
  private readonly kept: readonly AuditableColumn[];
  private readonly json: string;

  constructor(
    private readonly table: AuditableTable,
    private readonly settings: AuditedColumns,
  ) {
    const hidden = [...settings.redact, ...settings.ignore];
    this.key = table.keys.find(({ columns }) => !columns.some((name) => hidden.includes(name))) ?? null;
    this.kept = table.columns.filter(({ name }) => !settings.ignore.includes(name));
    // an alias that is the name of a column would mean the column
    this.json = escapeIdentifier(this.alias('r'));
  }

  /** `name`, or something like it that no column is called. */
  alias(name: string): string {
    return this.table.columns.some((column) => column.name === name) ? this.alias(`${name}_`) : name;
  }

  /** What is in the log as record_id. */
  id(row: string): string {
    const columns = this.keyColumns();
    const [only] = columns;
    if (only === undefined) return 'null::text';
    const cut = columns.every(({ type }) => OF_FEW_BYTES.includes(type)) ? (id: string) => id : shortened;
    if (columns.length > 1) return cut(`jsonb_build_array(${columns.map((key) => plain(row, key)).join(', ')})::text`);
    if (!only.isBuiltIn) return cut(`concat(${value(row, only)})`);
    // as JSON writes it, which no setting of the session changes
    const isText = SAME_IN_JSON.includes(only.type);
    return cut(isText ? `${value(row, only)}::text` : `(to_jsonb(${value(row, only)}) #>> '{}')`);
  }

  /** A condition: the key of both rows is the same. */
  isSameKey(a: string, b: string): string {
    return this.keyColumns()
      .map((key) => `${keyValue(a, key)} = ${keyValue(b, key)}`)
      .join(' and ');
  }

  /** A condition: the key of both rows is another. */
  isOtherKey(a: string, b: string): string {
    return this.keyColumns()
      .map((key) => `${keyValue(a, key)} is distinct from ${keyValue(b, key)}`)
      .join(' or ');
  }

  /** A condition: there is no such row on this side of a full join. */
  isMissing(row: string): string {
    const [first] = this.keyColumns();
    return first === undefined ? 'false' : `num_nulls(${value(row, first)}) = 1`;
  }

  /** The row as JSON, without what is ignored; the secrets masked. */
  data(row: string): string {
    return this.object(row, (column) =>
      this.isSecret(column) ? `case when num_nonnulls(${value(row, column)}) = 1 then '***' end` : plain(row, column),
    );
  }

  /** The same with its secrets: they have to be compared. */
  unmasked(row: string): string {
    return this.object(row, (column) => plain(row, column));
  }

  /** The key columns, for a grouping. */
  keyValues(row: string): string {
    return this.keyColumns()
      .map((key) => keyValue(row, key))
      .join(', ');
  }

  private object(row: string, expression: (column: AuditableColumn) => string): string {
    const isWhole = this.kept.length === this.table.columns.length;
    const changes = this.kept.some((column) => expression(column) !== value(row, column));
    // only where the alias can mean nothing but the row
    if (isWhole && !changes && row === this.alias(row)) return `to_jsonb(${row})`;
    const columns = this.kept.map((column) => `${expression(column)} as ${escapeIdentifier(column.name)}`);
    return `(select to_jsonb(${this.json}) from (select ${columns.join(', ')}) ${this.json})`;
  }

  /** Conditions by column: whether it has another value in `b` than in `a`. */
  differences(a: string, b: string): readonly (readonly [name: string, condition: string])[] {
    return this.kept.map((column) => {
      const [before, after] = [a, b].map((row) => (column.isComparable ? value(row, column) : text(row, column)));
      return [column.name, `${before} is distinct from ${after}`] as const;
    });
  }

  /** The columns that have changed as JSON, put together as text: making the whole row of it first would cost twice as much. */
  changedData(row: string, differences: ReturnType<RowExpressions['differences']>): string {
    const members = differences.map(([name, condition]) => {
      const column = this.kept.find((one) => one.name === name);
      const member = column === undefined ? `'null'` : this.member(row, column);
      return `case when ${condition} then ${escapeLiteral(`${JSON.stringify(name)}:`)} || ${member} end`;
    });
    // a function takes 100 arguments, an array any number
    return `('{' || array_to_string(array[${members.join(', ')}]::text[], ',') || '}')::jsonb`;
  }

  private member(row: string, column: AuditableColumn): string {
    if (this.isSecret(column)) return `case when num_nonnulls(${value(row, column)}) = 1 then '"***"' else 'null' end`;
    return `coalesce(to_json(${plain(row, column)})::text, 'null')`;
  }

  private isSecret({ name }: AuditableColumn): boolean {
    return this.settings.redact.includes(name);
  }

  private keyColumns(): readonly AuditableColumn[] {
    return (this.key?.columns ?? []).flatMap((name) => this.table.columns.filter((column) => column.name === name));
  }
}

/**
 * A condition about a value of the type json: whether jsonb would refuse it, because of a zero character, half a surrogate
 * pair, a character that the database has no place for, or a number that is too long. Some that it would take are among
 * them; what it costs to try and fail is a subtransaction for each statement.
 */
export function isRefusedJson(column: string): string {
  const half = String.raw`\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]`;
  const regexp = String.raw`\\u0000|${half}|[eE][+-]?[0-9]{3}|[0-9]{255}`;
  return `(${column}::text ~ '${regexp}' or ${column}::text ~ '\\\\u' and getdatabaseencoding() <> 'UTF8')`;
}

export function textArray(names: readonly string[]): string {
  return names.length === 0 ? `'{}'::text[]` : `array[${names.map((name) => escapeLiteral(name)).join(', ')}]::text[]`;
}

/** An identity that would not fit into an index is cut, and told apart by its hash. */
export function shortened(id: string): string {
  return `case when octet_length(${id}) > 1000
    then left(${id}, 200) || ' sha256:' || encode(sha256(convert_to(${id}, getdatabaseencoding())), 'hex') else ${id} end`;
}

const OF_FEW_BYTES = ['smallint', 'integer', 'bigint', 'uuid', 'date', 'boolean', 'timestamp with time zone'];
/** Types whose text is the same as in JSON. */
const SAME_IN_JSON = ['smallint', 'integer', 'bigint', 'uuid', 'text', 'character varying'];

function value(row: string, { name }: AuditableColumn): string {
  return `${row}.${escapeIdentifier(name)}`;
}

/** As its own type writes it; `null` stays `null`, also in a row of nulls. */
function written(column: string): string {
  return `case when num_nonnulls(${column}) = 1 then concat(${column}) end`;
}

function plain(row: string, column: AuditableColumn): string {
  const own = value(row, column);
  if (column.isJson) return `case when ${isRefusedJson(own)} then to_jsonb(${own}::text) else to_jsonb(${own}) end`;
  return column.isBuiltIn ? own : written(own);
}

function text(row: string, column: AuditableColumn): string {
  return column.isBuiltIn ? `${value(row, column)}::text` : written(value(row, column));
}

/** A key column, as text where PostgreSQL's own operators do not tell its values apart: those of extensions are not in the path. */
function keyValue(row: string, column: AuditableColumn): string {
  if (column.isComparable) return value(row, column);
  return column.isBuiltIn ? `${value(row, column)}::text` : `concat(${value(row, column)})`;
}

import { createHash } from 'node:crypto';
import { escapeIdentifier, escapeLiteral } from 'pg';
import type { AuditableColumn, AuditableTable } from '../../../database/catalog/auditable-tables.js';
import type { GeneratedFunction } from '../pack.js';

export interface AuditFunctionOptions {
  /** Where the log is. */
  readonly schema: string;
  readonly redact: readonly string[];
  readonly ignore: readonly string[];
  readonly data: 'changed' | 'whole';
}

/**
 * The function that logs one table, for all its triggers: written for the columns that the table has now, because a
 * comparison column by column costs less than half of one that takes rows apart as JSON. Each call first looks whether
 * these are still the columns; where they are not, it logs every row whole, by the slower way, until it is generated anew.
 */
export function auditFunction(table: AuditableTable, options: AuditFunctionOptions): GeneratedFunction {
  const name = functionName(table);
  const body = bodyOf(table, options);
  const tag = tagFor(body);
  return {
    schema: options.schema,
    name,
    sql: `create or replace function ${escapeIdentifier(options.schema)}.${escapeIdentifier(name)}() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as ${tag}${body}${tag}`,
  };
}

/** `log_clinic$users`; with a hash where that is too long, or could be another table's. */
function functionName({ schema, name }: AuditableTable): string {
  const plain = `log_${schema}$${name}`;
  if (/^log_[^$.]+\$[^$.]+$/.test(plain) && Buffer.byteLength(plain) <= 63) return plain;
  const hash = createHash('sha256')
    .update(JSON.stringify([schema, name]))
    .digest('hex')
    .slice(0, 12);
  return `log_${hash}`;
}

function tagFor(body: string): string {
  for (let index = 0; ; index += 1) {
    const tag = `$audit${index === 0 ? '' : index}$`;
    if (!body.includes(tag)) return tag;
  }
}

function bodyOf(table: AuditableTable, options: AuditFunctionOptions): string {
  const s = escapeIdentifier(options.schema);
  const log = `${s}.audit_logs`;
  const sql = new Pieces(table, options);
  const common = `moment, xid, tg_op, ${escapeLiteral(table.schema)}, ${escapeLiteral(table.name)}`;
  const who = 'app_user, session_user, client';
  const columns =
    'created_at, transaction_id, action, schema_name, table_name, record_id, user_id, auth_id, client, changed_columns, old_data, new_data';
  const into = `insert into ${log} (${columns})`;
  const moved = `k.transaction_id = xid and k.table_name = ${escapeLiteral(sql.root)}`;
  return `
#variable_conflict use_variable
declare
  moment constant timestamp with time zone := clock_timestamp();
  xid constant bigint := pg_current_xact_id()::text::bigint;
  app_user constant text := nullif(current_setting('app.current_user', true), '');
  client constant text := concat_ws(' ', nullif(current_setting('application_name'), ''), host(inet_client_addr()));
  is_known constant boolean := ${sql.signature()};
  keys constant text[] := ${sql.names(table.key)};
  ignored constant text[] := ${sql.names(options.ignore)};
  secret text[] := ${sql.names(options.redact)};
begin
  if tg_op = 'TRUNCATE' then
    ${into}
    values (${common}, null, ${who}, null, null, case when tg_table_name <> ${escapeLiteral(table.name)} then
      jsonb_build_object('partition', format('%I.%I', tg_table_schema, tg_table_name)) end);
    return null;
  end if;
  if not is_known and exists (select from unnest(secret) c where c <> all (${sql.presentNames()})) then
    -- a secret column has another name now: which one, nobody has said
    secret := secret || array(select c from unnest(${sql.presentNames()}) c where c <> all (${sql.names(table.columns.map(({ name }) => name))}));
  end if;

  if tg_when = 'BEFORE' then
    insert into ${s}.moved_keys
    values (xid, ${escapeLiteral(sql.root)}, ${s}.record_id(to_jsonb(old), keys), ${s}.record_id(to_jsonb(new), keys));
    return new;
  end if;

  if tg_level = 'ROW' then
    ${into}
    select ${common}, ${s}.record_id(coalesce(r.o, r.n), keys), ${who}, r.changed, ${sql.kept('r.o', 'r.changed')}, ${sql.kept('r.n', 'r.changed')}
    from (select d.o, d.n, case when tg_op = 'UPDATE' then array(
        select k from jsonb_each(d.n) as n (k, v) where d.o -> k is distinct from v and k <> all (ignored)) end as changed
      from (select case when tg_op <> 'INSERT' then to_jsonb(old) end as o, case when tg_op <> 'DELETE' then to_jsonb(new) end as n) d) r
    where tg_op <> 'UPDATE' or r.changed <> '{}';
    return null;
  end if;

  if tg_op = 'INSERT' and is_known then
    ${into}
    select ${common}, ${sql.id('n')}, ${who}, null, null, ${sql.row('n')} from new_rows n;
  elsif tg_op = 'DELETE' and is_known then
    ${into}
    select ${common}, ${sql.id('o')}, ${who}, null, ${sql.row('o')}, null from old_rows o;
  elsif tg_op = 'INSERT' then
    ${into}
    select ${common}, ${s}.record_id(to_jsonb(n), keys), ${who}, null, null, ${s}.without(to_jsonb(n), secret, ignored) from new_rows n;
  elsif tg_op = 'DELETE' then
    ${into}
    select ${common}, ${s}.record_id(to_jsonb(o), keys), ${who}, null, ${s}.without(to_jsonb(o), secret, ignored), null from old_rows o;
  else
    if is_known and not exists (select from ${s}.moved_keys k where ${moved}) then
      ${sql.updates({ into, common, who })}
    else
      with o as (select ${s}.record_id(to_jsonb(o), keys) as id, to_jsonb(o) as data from old_rows o),
      n as (select ${s}.record_id(to_jsonb(n), keys) as id, to_jsonb(n) as data from new_rows n),
      m as (
        delete from ${s}.moved_keys k
        where ${moved} and exists (select from o where o.id = k.old_id) and exists (select from n where n.id = k.new_id)
        returning k.old_id, k.new_id
      ),
      paired as (
        select o.id, o.data as o, n.data as n from o join m on m.old_id = o.id join n on n.id = m.new_id
        union all
        select coalesce(o.id, n.id), o.data, n.data
        from (select * from o where not exists (select from m where m.old_id = o.id)) o
        full join (select * from n where not exists (select from m where m.new_id = n.id)) n on n.id = o.id
      ),
      compared as (
        select p.*, case when p.o is not null and p.n is not null then array(
          select k from jsonb_each(p.n) as f (k, v) where p.o -> k is distinct from v and k <> all (ignored)) end as changed
        from paired p
      )
      ${into}
      select ${common}, c.id, ${who}, c.changed, ${sql.kept('c.o', 'c.changed')}, ${sql.kept('c.n', 'c.changed')}
      from compared c where c.changed is null or c.changed <> '{}';
    end if;
  end if;
  return null;
end `;
}

/** The parts that name columns. */
class Pieces {
  readonly root: string;
  private readonly written: readonly AuditableColumn[];

  constructor(
    private readonly table: AuditableTable,
    private readonly options: AuditFunctionOptions,
  ) {
    this.root = JSON.stringify([table.schema, table.name]);
    this.written = table.columns.filter(({ name }) => !options.ignore.includes(name));
  }

  names(names: readonly string[]): string {
    return names.length === 0 ? `'{}'` : `array[${names.map((name) => escapeLiteral(name)).join(', ')}]::text[]`;
  }

  presentNames(): string {
    return `array(select a.attname::text from pg_attribute a where a.attrelid = tg_relid and a.attnum > 0 and not a.attisdropped)`;
  }

  /** Whether the table has the columns that the function was written for. */
  signature(): string {
    const known = this.table.columns.map(({ name, type }) => `${name} ${type}`).sort(byCodeUnits);
    return `(
    select array_agg(a.attname || ' ' || format_type(a.atttypid, null) order by (a.attname || ' ' || format_type(a.atttypid, null)) collate "C")
    from pg_attribute a where a.attrelid = tg_relid and a.attnum > 0 and not a.attisdropped
  ) is not distinct from ${this.names(known)}`;
  }

  id(row: string): string {
    const { key } = this.table;
    if (key.length === 0) return 'null';
    const [only] = this.table.columns.filter(({ name }) => name === key[0]);
    // as JSON writes it, which no setting of the session changes
    if (key.length === 1 && only !== undefined) {
      const column = `${row}.${escapeIdentifier(only.name)}`;
      return PLAIN_AS_TEXT.includes(only.type) ? `${column}::text` : `(to_jsonb(${column}) #>> '{}')`;
    }
    return `jsonb_build_array(${key.map((name) => `${row}.${escapeIdentifier(name)}`).join(', ')})::text`;
  }

  /** The whole row, without what is ignored, and with the secrets masked. */
  row(row: string): string {
    const { ignore, redact } = this.options;
    const present = (names: readonly string[]): readonly string[] =>
      names.filter((name) => this.table.columns.some((column) => column.name === name));
    const ignored = present(ignore);
    const secret = present(redact).filter((name) => !ignored.includes(name));
    // one object each: a function takes no more than 100 arguments
    const masks = secret.map((name) => {
      const column = `${row}.${escapeIdentifier(name)}`;
      return ` || jsonb_build_object(${escapeLiteral(name)}, case when ${column} is not null then '***' end)`;
    });
    const data = ignored.length === 0 ? `to_jsonb(${row})` : `(to_jsonb(${row}) - ${this.names(ignored)})`;
    return masks.length === 0 ? data : `(${data}${masks.join('')})`;
  }

  /** Of a row as JSON: what is to be kept, by the slower way. */
  kept(row: string, changed: string): string {
    const s = escapeIdentifier(this.options.schema);
    const all = `${s}.without(${row}, secret, ignored)`;
    if (this.options.data === 'whole') return all;
    return `case when ${changed} is null then ${all} else ${s}.without(${row}, secret, ignored) - array(select jsonb_object_keys(${row}) except select unnest(${changed})) end`;
  }

  /** The changed columns as JSON, put together as text: making the whole row of it first would cost twice as much. */
  private changedOf(row: string, differs: readonly (readonly [name: string, condition: string])[]): string {
    const members = differs.map(([name, condition]) => {
      const column = `${row}.${escapeIdentifier(name)}`;
      const value = this.options.redact.includes(name)
        ? `case when ${column} is null then 'null' else '"***"' end`
        : `coalesce(to_json(${column})::text, 'null')`;
      return `case when ${condition} then ${escapeLiteral(`${JSON.stringify(name)}:`)} || ${value} end`;
    });
    // a function takes 100 arguments, an array any number
    return `('{' || array_to_string(array[${members.join(', ')}]::text[], ',') || '}')::jsonb`;
  }

  updates({ into, common, who }: { into: string; common: string; who: string }): string {
    const { key } = this.table;
    if (key.length === 0) {
      // which row became which, nobody can say
      return `${into}
      select ${common}, null::text, ${who}, null::text[], ${this.row('o')}, null::jsonb from old_rows o
      union all
      select ${common}, null::text, ${who}, null::text[], null::jsonb, ${this.row('n')} from new_rows n;`;
    }
    const same = key
      .map((name) => `${keyText(this.table, 'o', name)} = ${keyText(this.table, 'n', name)}`)
      .join(' and ');
    const differs = this.written.map(({ name, isComparable }) => {
      const cast = isComparable ? '' : '::text';
      const column = escapeIdentifier(name);
      return [name, `o.${column}${cast} is distinct from n.${column}${cast}`] as const;
    });
    const changed = `array_remove(array[${differs
      .map(([name, condition]) => `case when ${condition} then ${escapeLiteral(name)} end`)
      .join(', ')}]::text[], null)`;
    const keep = (row: string): string =>
      this.options.data === 'whole' ? this.row(row) : this.changedOf(row, differs);
    const any = differs.map(([, condition]) => condition).join(' or ');
    return `${into}
      select ${common}, ${this.id('o')}, ${who}, ${changed}, ${keep('o')}, ${keep('n')}
      from old_rows o join new_rows n on ${same}
      where ${any === '' ? 'false' : any};`;
  }
}

/** A key column, as text where PostgreSQL's own operators do not compare it: those of extensions are not in the path. */
export function keyText({ columns }: AuditableTable, row: string, name: string): string {
  const isComparable = columns.some((column) => column.name === name && column.isComparable);
  return `${row}.${escapeIdentifier(name)}${isComparable ? '' : '::text'}`;
}

/** Types whose text is the same everywhere, and in JSON. */
const PLAIN_AS_TEXT = ['smallint', 'integer', 'bigint', 'uuid', 'text', 'character varying'];

function byCodeUnits(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

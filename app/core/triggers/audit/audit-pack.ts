import { escapeIdentifier } from 'pg';
import { type AuditableTable, readAuditableTables } from '../../../database/catalog/auditable-tables.js';
import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import { defineTrigger, type TriggerDeclaration, type TriggerSpec } from '../declaration.js';
import { matchesPattern } from '../every-table.js';
import type { GeneratedFunction, GeneratedTriggers, TriggerPack } from '../pack.js';
import { auditFunction, keyText } from './audit-function.js';
import { auditChainSetup, auditLogSetup } from './audit-log.js';
import type { AuditPackSettings } from './audit-pack-settings.js';

const DEFAULT_SCHEMA = 'audit';

/** Owns the functions, and may do nothing but write into the log. */
const OWNER = 'manage_db_audit';

/**
 * The audit pack: every change of the tables of the application, in a log that nobody changes. Its functions are
 * generated for each table when they are applied.
 */
export function auditPack(settings: AuditPackSettings): TriggerPack {
  refuseProblems(settings);
  const schema = auditSchema(settings);
  return {
    name: 'audit',
    functionFiles: [],
    functionSchema: schema,
    declarations: [],
    generate: (db, tables) => generate(db, settings, tables),
  };
}

export function auditSchema({ schema = DEFAULT_SCHEMA }: AuditPackSettings): string {
  return schema;
}

function refuseProblems({
  schema,
  only = [],
  except = [],
  redact = {},
  ignore = {},
  retentionMonths,
}: AuditPackSettings) {
  const tables = [...only, ...except, ...Object.keys(redact), ...Object.keys(ignore)];
  const problems = [
    ...tables
      .filter((table) => !/^[^.]+\..+$/.test(table))
      .map((table) => `"${table}" must be written as 'schema.table'`),
    ...(schema === undefined || /^[a-z_][a-z0-9_]*$/.test(schema)
      ? []
      : ['schema must be a plain name in small letters']),
    ...(retentionMonths === undefined || (Number.isInteger(retentionMonths) && retentionMonths > 0)
      ? []
      : ['retentionMonths must be 1, 2, 3 …']),
  ];
  if (problems.length === 0) return;
  throw new ManageDbError('INVALID_CONFIGURATION', `configureAuditPack: ${problems.join('; ')}.`, {
    hint: "For instance: configureAuditPack({ except: ['legacy.*'], redact: { 'clinic.users': ['password_hash'] } })",
  });
}

async function generate(
  db: Queryable,
  settings: AuditPackSettings,
  only: readonly number[] | null,
): Promise<GeneratedTriggers> {
  const schema = auditSchema(settings);
  const owner = await readOwner(db);
  const tables = (await readAuditableTables(db, only)).filter((table) => isAudited(table, settings));
  const parts = tables.map((table) => {
    const name = `${table.schema}.${table.name}`;
    const { redact = {}, ignore = {}, data = 'changed' } = settings;
    const called = auditFunction(table, { schema, redact: redact[name] ?? [], ignore: ignore[name] ?? [], data });
    return { called: owned(called, owner), declarations: declare(table, called) };
  });
  return {
    problems: [],
    setup: await missingSetup(db, settings, owner),
    aroundFunctions: { before: [], after: [] },
    functions: parts.map(({ called }) => called),
    declarations: parts.flatMap(({ declarations }) => declarations),
  };
}

function isAudited({ schema, name }: AuditableTable, settings: AuditPackSettings): boolean {
  const { only, except = [] } = settings;
  if (schema === auditSchema(settings) || matchesPattern(except, schema, name)) return false;
  return only === undefined || matchesPattern(only, schema, name);
}

function declare(table: AuditableTable, called: GeneratedFunction): TriggerDeclaration[] {
  const call = { function: `${called.schema}.${called.name}`, mode: 'always' } as const;
  const on = (
    { schema, name }: { schema: string; name: string },
    trigger: string,
    spec: Omit<TriggerSpec, 'table' | 'function'>,
  ) => defineTrigger(trigger, { ...call, table: { schema, name }, ...spec });
  if (table.needsRowTriggers) {
    return [
      on(table, 'audit_row', { timing: 'after', on: ['insert', 'update', 'delete'] }),
      on(table, 'audit_truncate', { timing: 'after', on: ['truncate'], level: 'statement' }),
    ];
  }
  // a statement fires the triggers of the table that it names: the root of the partitions, or one of them
  const statements = [table, ...table.partitions].flatMap((relation) => [
    on(relation, 'audit_insert', {
      timing: 'after',
      on: ['insert'],
      level: 'statement',
      referencing: { new: 'new_rows' },
    }),
    on(relation, 'audit_update', {
      timing: 'after',
      on: ['update'],
      level: 'statement',
      referencing: { old: 'old_rows', new: 'new_rows' },
    }),
    on(relation, 'audit_delete', {
      timing: 'after',
      on: ['delete'],
      level: 'statement',
      referencing: { old: 'old_rows' },
    }),
    on(relation, 'audit_truncate', { timing: 'after', on: ['truncate'], level: 'statement' }),
  ]);
  if (table.key.length === 0) return statements;
  const changes = table.key.map(
    (column) => `${keyText(table, 'old', column)} is distinct from ${keyText(table, 'new', column)}`,
  );
  // late among those that fire before the row: the others may still change the key
  return [...statements, on(table, 'zz_audit_key', { timing: 'before', on: ['update'], when: changes.join(' or ') })];
}

/** `null`: there is no such role, and this login may not make one. */
async function readOwner(db: Queryable): Promise<string | null> {
  const { rows } = await db.query<{ is_owner: boolean }>(
    `
    select case when exists (select from pg_catalog.pg_roles r where r.rolname = $1)
      then pg_catalog.pg_has_role($1, 'MEMBER') else me.rolsuper or me.rolcreaterole end as is_owner
    from pg_catalog.pg_roles me where me.rolname = current_user`,
    [OWNER],
  );
  return rows[0]?.is_owner === true ? OWNER : null;
}

function owned({ schema, name, sql }: GeneratedFunction, owner: string | null): GeneratedFunction {
  const signature = `${escapeIdentifier(schema)}.${escapeIdentifier(name)}()`;
  const giving = owner === null ? '' : `;\nalter function ${signature} owner to ${escapeIdentifier(owner)}`;
  return { schema, name, sql: `${sql};\nrevoke all on function ${signature} from public${giving}` };
}

/** Says which form of the log a schema has. */
const MARK = 'manage_db: the audit log, form 1';

/** What has to be executed before the functions; nothing where the log is as it should be. */
async function missingSetup(
  db: Queryable,
  settings: AuditPackSettings,
  owner: string | null,
): Promise<readonly string[]> {
  const schema = auditSchema(settings);
  const { rows } = await db.query<{ mark: string | null; has_months: boolean; has_old: boolean; has_chain: boolean }>(
    `
    select pg_catalog.obj_description(n.oid, 'pg_namespace') as mark,
      exists (select from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid
        where c.relnamespace = n.oid and c.relname = 'audit_logs' and t.tgname = 'chain_entry') as has_chain,
      exists (select from pg_catalog.pg_class c where c.relnamespace = n.oid and c.relname = 'audit_logs_' ||
        pg_catalog.to_char((pg_catalog.now() at time zone 'UTC') + interval '1 month', 'YYYY_MM')) as has_months,
      exists (select from pg_catalog.pg_class c where c.relnamespace = n.oid and c.relname ~ '^audit_logs_[0-9]{4}_[0-9]{2}$'
        and pg_catalog.to_date(pg_catalog.right(c.relname, 7), 'YYYY_MM') + interval '1 month'
          <= (pg_catalog.now() at time zone 'UTC') - pg_catalog.make_interval(months => $2::integer)) as has_old
    from (select $1::text as name) wanted left join pg_catalog.pg_namespace n on n.nspname = wanted.name`,
    [schema, settings.retentionMonths ?? null],
  );
  const [found] = rows;
  const s = escapeIdentifier(schema);
  const isInPlace = found?.mark === MARK;
  return [
    ...(isInPlace ? [] : [...auditLogSetup(schema), ...ownerSetup(s, owner), `comment on schema ${s} is '${MARK}'`]),
    ...(isInPlace && found.has_months ? [] : [`select ${s}.ensure_partitions()`]),
    ...(settings.hashChain === true && found?.has_chain !== true
      ? [...auditChainSetup(schema), ...chainGrants(s, owner)]
      : []),
    ...(settings.hashChain !== true && found?.has_chain === true
      ? [`drop trigger chain_entry on ${s}.audit_logs`, `drop trigger note_chain on ${s}.audit_logs`]
      : []),
    ...(isInPlace && found.has_old
      ? [
          `select ${s}.drop_partitions_before(pg_catalog.now() - pg_catalog.make_interval(months => ${settings.retentionMonths}))`,
        ]
      : []),
  ];
}

function chainGrants(s: string, owner: string | null): readonly string[] {
  if (owner === null) return [];
  const role = escapeIdentifier(owner);
  return [
    `grant select, update on ${s}.audit_chain to ${role}`,
    `grant execute on all functions in schema ${s} to ${role}`,
  ];
}

function ownerSetup(s: string, owner: string | null): readonly string[] {
  if (owner === null) return [];
  const role = escapeIdentifier(owner);
  return [
    `do $$ begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = '${owner}') then
    create role ${role} nologin;
    execute pg_catalog.format('grant ${role} to %I', current_user);
  end if;
end $$`,
    `grant usage, create on schema ${s} to ${role}`,
    `grant select, insert on ${s}.audit_logs to ${role}`,
    `grant select, insert, delete on ${s}.moved_keys to ${role}`,
    `grant execute on all functions in schema ${s} to ${role}`,
  ];
}

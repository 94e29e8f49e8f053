import { readSecretColumns } from '../../../database/catalog/audit-log.js';
import { type AuditableTable, readAuditableTables } from '../../../database/catalog/auditable-tables.js';
import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import { nearest } from '../../nearest.js';
import { defineTrigger, type TriggerDeclaration, type TriggerSpec } from '../declaration.js';
import { matchesPattern } from '../every-table.js';
import type { GeneratedFunction, GeneratedTriggers, TriggerPack } from '../pack.js';
import { auditFunction, tableHash } from './audit-function.js';
import type { AuditPackSettings } from './audit-pack-settings.js';
import { type AuditLogSettings, auditLogSetup, auditMaintenance, auditPreparation } from './audit-setup.js';
import { RowExpressions } from './row-expressions.js';

const DEFAULT_SCHEMA = 'audit';

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
    preparation: (db) => auditPreparation(db, logSettings(settings)),
    maintenance: (db) => auditMaintenance(db, logSettings(settings)),
  };
}

function logSettings(settings: AuditPackSettings): AuditLogSettings {
  const { hashChain = false, retentionMonths = null } = settings;
  return { schema: auditSchema(settings), isChained: hashChain, retentionMonths };
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
    ...(schema === undefined || (/^[a-z_][a-z0-9_]*$/.test(schema) && !NOT_OWN.test(schema))
      ? []
      : ['schema must be a plain name in small letters, and not public, manage_db or one of PostgreSQL']),
    ...(retentionMonths === undefined || (Number.isInteger(retentionMonths) && retentionMonths > 0)
      ? []
      : ['retentionMonths must be 1, 2, 3 …']),
  ];
  if (problems.length === 0) return;
  throw new ManageDbError('INVALID_CONFIGURATION', `configureAuditPack: ${problems.join('; ')}.`, {
    hint: "For instance: configureAuditPack({ except: ['legacy.*'], redact: { 'clinic.users': ['password_hash'] } })",
  });
}

const NOT_OWN = /^(public|manage_db|information_schema|pg_.*)$/;

async function generate(
  db: Queryable,
  settings: AuditPackSettings,
  only: readonly number[] | null,
): Promise<GeneratedTriggers> {
  const { redact = {}, ignore = {}, data = 'changed', hashChain: isChained = false } = settings;
  const schema = auditSchema(settings);
  const tables = (await readAuditableTables(db, only)).filter((table) => isAudited(table, settings));
  const log = await auditLogSetup(db, logSettings(settings));
  const secrets = only === null ? await readSecretColumns(db, schema) : new Map<string, readonly string[]>();
  const parts = tables.map((table) => {
    const columns = { redact: columnsFor(redact, table), ignore: columnsFor(ignore, table) };
    const called = auditFunction(table, { schema, ...columns, data, isChained });
    const lost = lostSecrets(table, secrets.get(called.name) ?? [], redact);
    return { called, lost, declarations: declare(table, called, new RowExpressions(table, columns)) };
  });
  return {
    ...log,
    problems: [
      ...log.problems,
      ...(only === null ? unknownNames(tables, settings) : []),
      ...parts.flatMap(({ lost }) => lost),
    ],
    functions: [...log.functions, ...parts.map(({ called }) => called)],
    declarations: [...log.declarations, ...parts.flatMap(({ declarations }) => declarations)],
  };
}

/** Those of `byTable` that the table has. */
function columnsFor(
  byTable: Readonly<Record<string, readonly string[]>>,
  { schema, name, columns }: AuditableTable,
): string[] {
  const named = Object.entries(byTable).flatMap(([pattern, names]) =>
    matchesPattern([pattern], schema, name) ? names : [],
  );
  return [...new Set(named)].filter((one) => columns.some((column) => column.name === one));
}

/**
 * A secret column that has gone may only have another name now: then it would be written in the clear. Whoever names the
 * table without a pattern has said which it is.
 */
function lostSecrets(
  { schema, name, columns }: AuditableTable,
  secret: readonly string[],
  redact: Readonly<Record<string, readonly string[]>>,
): string[] {
  const table = `${schema}.${name}`;
  return secret
    .filter((one) => !columns.some((column) => column.name === one))
    .filter((one) => redact[table]?.includes(one) ?? true)
    .map(
      (one) =>
        `${table} had the secret column ${one}, and has it no more: write '${table}': [] into redact if it was dropped, or its new name`,
    );
}

/** A name that is written wrong would leave a secret in the clear. */
function unknownNames(tables: readonly AuditableTable[], settings: AuditPackSettings): string[] {
  return (['redact', 'ignore'] as const).flatMap((setting) =>
    Object.entries(settings[setting] ?? {}).flatMap(([pattern, names]) => {
      const matching = tables.filter(({ schema, name }) => matchesPattern([pattern], schema, name));
      if (matching.length === 0) {
        const all = tables.map(({ schema, name }) => `${schema}.${name}`);
        return [`${setting} names ${pattern}, and no audited table is called so${orRather(pattern, all)}`];
      }
      const columns = [...new Set(matching.flatMap((table) => table.columns.map(({ name }) => name)))];
      return names
        .filter((name) => !columns.includes(name))
        .map((name) => `${setting} names the column ${name} of ${pattern}, which has none${orRather(name, columns)}`);
    }),
  );
}

function orRather(name: string, names: readonly string[]): string {
  const suggestion = nearest(name, names);
  return suggestion === null ? '' : ` (rather ${suggestion}?)`;
}

function isAudited({ schema, name }: AuditableTable, settings: AuditPackSettings): boolean {
  const { only, except = [] } = settings;
  if (schema === auditSchema(settings) || matchesPattern(except, schema, name)) return false;
  return only === undefined || matchesPattern(only, schema, name);
}

function declare(table: AuditableTable, called: GeneratedFunction, rows: RowExpressions): TriggerDeclaration[] {
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
  if (rows.key === null) return statements;
  // names of their own: a table that becomes a partition brings its own along
  const hash = tableHash(table).slice(0, 6);
  // late among those that fire before the row: the others may still change the key
  const keys = on(table, `zz_audit_key_${hash}`, {
    timing: 'before',
    on: ['update'],
    when: rows.isOtherKey('old', 'new'),
  });
  if (!table.isPartitioned) return [...statements, keys];
  const moves = { timing: 'after', args: ['moved'], when: isAtLevel('moving') } as const;
  const merges = [table, ...table.partitions.filter(({ isPartitioned }) => isPartitioned)].flatMap((relation) => [
    on(relation, 'audit_begin_insert', { timing: 'before', on: ['insert'], level: 'statement' }),
    on(relation, 'audit_begin_update', { timing: 'before', on: ['update'], level: 'statement' }),
  ]);
  return [
    ...statements,
    ...merges,
    on(table, `audit_merged_${hash}`, {
      timing: 'after',
      on: ['update'],
      args: ['merged'],
      when: isAtLevel('merging'),
    }),
    keys,
    on(table, `audit_left_${hash}`, { ...moves, on: ['delete'] }),
    on(table, `audit_arrived_${hash}`, { ...moves, on: ['insert'] }),
  ];
}

/** Set by the triggers that fire before: this statement moves rows to other partitions, or may insert and update. */
function isAtLevel(what: 'moving' | 'merging'): string {
  return `pg_catalog.split_part(pg_catalog.current_setting('manage_db.${what}', true), ',', 1) = pg_catalog.pg_trigger_depth()::text`;
}

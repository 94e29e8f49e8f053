import { escapeIdentifier } from 'pg';
import {
  type AuditLogFacts,
  readAuditLogFacts,
  readExpired,
  readMonthsInDefault,
} from '../../../database/catalog/audit-log.js';
import type { Queryable } from '../../../database/queryable.js';
import { defineTrigger, type TriggerDeclaration } from '../declaration.js';
import type { GeneratedTriggers } from '../pack.js';
import { chainFunctions, chainTable, logTables, refuseChange } from './audit-log.js';

/** Owns the functions that write into the log, and may do nothing else. */
export const LOG_WRITER = 'manage_db_audit';

export interface AuditLogSettings {
  readonly schema: string;
  readonly isChained: boolean;
  /** `null`: for ever. */
  readonly retentionMonths: number | null;
}

/** The log itself: what is missing of it, and the triggers that protect and chain its entries. */
export async function auditLogSetup(db: Queryable, settings: AuditLogSettings): Promise<GeneratedTriggers> {
  const { schema, isChained } = settings;
  const facts = await readAuditLogFacts(db, { schema, role: LOG_WRITER, rights: rightsOfWriter(isChained) });
  const problems = foreignTables(facts, settings);
  if (problems.length > 0) return { ...NOTHING, problems };
  const months = await missingMonths(db, schema, facts);
  const partitions = [
    ...facts.relations.filter(({ isPartition }) => isPartition).map(({ name }) => name),
    ...(has(facts, DEFAULT) ? [] : [DEFAULT]),
    ...months.map(({ name }) => name),
  ];
  return {
    problems,
    setup: [
      ...missingTables(facts, settings),
      ...missingPartitions(schema, facts, months),
      ...missingRights(schema, facts),
      ...(isChained ? startChain(schema, facts) : stopChain(schema, facts)),
    ],
    aroundFunctions: facts.role.isOurs ? givingAway(schema) : { before: [], after: [] },
    functions: [refuseChange(schema), ...(isChained ? chainFunctions(schema) : [])],
    declarations: [
      ...['audit_logs', ...partitions].map((table) => protecting(schema, table)),
      ...(isChained ? chaining(schema) : []),
    ],
  };
}

/** What takes away the entries that need not be kept, in an order in which nobody who writes is waited for for ever. */
export async function auditRetention(
  db: Queryable,
  { schema, isChained, retentionMonths }: AuditLogSettings,
): Promise<readonly string[]> {
  if (retentionMonths === null) return [];
  const { partitions, before, hasStrays } = await readExpired(db, schema, retentionMonths);
  if (partitions.length === 0 && !hasStrays) return [];
  const s = escapeIdentifier(schema);
  const rest = `${s}.${DEFAULT}`;
  return [
    // who writes takes the chain first, too
    ...(isChained ? [`select c.position from ${s}.audit_chain c for update`] : []),
    ...partitions.map((name) => `drop table ${s}.${escapeIdentifier(name)}`),
    ...(hasStrays
      ? [
          `alter table ${rest} disable trigger refuse_change`,
          `delete from ${rest} d where d.created_at < '${before}'`,
          `alter table ${rest} enable always trigger refuse_change`,
        ]
      : []),
    ...(isChained
      ? [
          `update ${s}.audit_chain c set first_position = coalesce((select min(l.position) from ${s}.audit_logs l), c.position + 1)`,
        ]
      : []),
  ];
}

const DEFAULT = 'audit_logs_default';

const NOTHING: GeneratedTriggers = {
  problems: [],
  setup: [],
  aroundFunctions: { before: [], after: [] },
  functions: [],
  declarations: [],
};

function rightsOfWriter(isChained: boolean): Readonly<Record<string, readonly string[]>> {
  return {
    audit_logs: ['insert', 'select'],
    moving_rows: ['delete', 'insert', 'select'],
    ...(isChained ? { audit_chain: ['select', 'update'] } : {}),
  };
}

function has({ relations }: AuditLogFacts, name: string): boolean {
  return relations.some((relation) => relation.name === name);
}

function tablesOf({ schema, isChained }: AuditLogSettings) {
  return [...logTables(schema), ...(isChained ? [chainTable(schema)] : [])];
}

/** Nothing is made in a schema that somebody uses for something else, and nothing is written into a table that only has the name. */
function foreignTables(facts: AuditLogFacts, settings: AuditLogSettings): string[] {
  const { schema } = settings;
  const own = [...logTables(schema), chainTable(schema)];
  if (!has(facts, 'audit_logs')) {
    const [stranger] = facts.relations.filter(({ name }) => !own.some((table) => table.name === name));
    if (stranger === undefined) return [];
    return [
      `the log cannot be in the schema ${schema}, which has other tables (${stranger.name}): give it a schema of its own`,
    ];
  }
  return own.flatMap(({ name, columns }) => {
    const found = facts.relations.find((relation) => relation.name === name);
    const isSame = found === undefined || found.columns.join() === columns.join();
    return isSame ? [] : [`${schema}.${name} has other columns than the log that manage_db makes`];
  });
}

function missingTables(facts: AuditLogFacts, settings: AuditLogSettings): string[] {
  const schema = facts.hasSchema ? [] : [`create schema ${escapeIdentifier(settings.schema)}`];
  const tables = tablesOf(settings).filter(({ name }) => !has(facts, name));
  return [...schema, ...tables.flatMap(({ create }) => create)];
}

/** As long as there is one for the next month nothing is done; then for some months at once. */
async function missingMonths(db: Queryable, schema: string, facts: AuditLogFacts): Promise<AuditLogFacts['months']> {
  if (facts.months.slice(0, 2).every(({ name }) => has(facts, name))) return [];
  const missing = facts.months.filter(({ name }) => !has(facts, name));
  const used = await readMonthsInDefault(db, schema, missing);
  return missing.filter(({ name }) => !used.has(name));
}

function missingPartitions(schema: string, facts: AuditLogFacts, months: AuditLogFacts['months']): string[] {
  const s = escapeIdentifier(schema);
  return [
    ...(has(facts, DEFAULT) ? [] : [`create table ${s}.${DEFAULT} partition of ${s}.audit_logs default`]),
    ...months.map(
      ({ name, from, to }) =>
        `create table ${s}.${escapeIdentifier(name)} partition of ${s}.audit_logs for values from ('${from}') to ('${to}')`,
    ),
  ];
}

function missingRights(schema: string, { role, hasSchema, missingRights: missing }: AuditLogFacts): string[] {
  if (!role.isOurs) return [];
  const s = escapeIdentifier(schema);
  const create = [`create role ${LOG_WRITER} nologin`, `grant ${LOG_WRITER} to current_user`];
  const rights = role.exists && hasSchema ? missing : [...missing, 'usage on schema'];
  return [
    ...(role.exists ? [] : create),
    ...[...new Set(rights)].map((right) => {
      const [privileges = '', relation = ''] = right.split(' on ');
      const on = relation === 'schema' ? `schema ${s}` : `${s}.${relation}`;
      return `grant ${privileges} on ${on} to ${LOG_WRITER}`;
    }),
  ];
}

/** Whom a function is given to must be allowed to create in its schema: for no longer than that. */
function givingAway(schema: string): GeneratedTriggers['aroundFunctions'] {
  const s = escapeIdentifier(schema);
  return {
    before: [`grant create on schema ${s} to ${LOG_WRITER}`],
    after: [
      `do $$ declare called pg_catalog.regprocedure; begin
  for called in select p.oid from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = '${schema}' and p.prosecdef and p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype
      and p.proowner <> '${LOG_WRITER}'::pg_catalog.regrole
  loop
    execute pg_catalog.format('alter function %s owner to ${LOG_WRITER}', called);
  end loop;
end $$`,
      `revoke create on schema ${s} from ${LOG_WRITER}`,
    ],
  };
}

function protecting(schema: string, table: string): TriggerDeclaration {
  return defineTrigger('refuse_change', {
    table: { schema, name: table },
    timing: 'before',
    on: ['update', 'delete', 'truncate'],
    level: 'statement',
    mode: 'always',
    function: `${schema}.refuse_change`,
  });
}

function chaining(schema: string): TriggerDeclaration[] {
  const table = { schema, name: 'audit_logs' };
  const common = { table, on: ['insert'], mode: 'always' } as const;
  return [
    defineTrigger('chain_entry', { ...common, timing: 'before', level: 'row', function: `${schema}.chain_entry` }),
    defineTrigger('note_chain', { ...common, timing: 'after', level: 'statement', function: `${schema}.note_chain` }),
  ];
}

/** The entries that are there remain unchained; whoever is writing one is waited for. */
function startChain(schema: string, { isChained }: AuditLogFacts): string[] {
  if (isChained) return [];
  const s = escapeIdentifier(schema);
  return [
    `lock table ${s}.audit_logs in share row exclusive mode`,
    `update ${s}.audit_chain set unchained_until = coalesce(pg_catalog.pg_sequence_last_value(pg_catalog.pg_get_serial_sequence('${schema}.audit_logs', 'id')::pg_catalog.regclass), 0)`,
    ...chainFunctions(schema).map(({ sql }) => sql),
    `create trigger chain_entry before insert on ${s}.audit_logs for each row execute function ${s}.chain_entry()`,
    `create trigger note_chain after insert on ${s}.audit_logs for each statement execute function ${s}.note_chain()`,
    `alter table ${s}.audit_logs enable always trigger chain_entry, enable always trigger note_chain`,
  ];
}

function stopChain(schema: string, { isChained }: AuditLogFacts): string[] {
  if (!isChained) return [];
  const s = escapeIdentifier(schema);
  return [`drop trigger chain_entry on ${s}.audit_logs`, `drop trigger if exists note_chain on ${s}.audit_logs`];
}

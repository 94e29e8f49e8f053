import { escapeIdentifier } from 'pg';
import {
  type AuditLogFacts,
  type LogRelation,
  readAuditLogFacts,
  readExpired,
  readFreeMonths,
} from '../../../database/catalog/audit-log.js';
import type { Queryable } from '../../../database/queryable.js';
import { defineTrigger, type TriggerDeclaration } from '../declaration.js';
import type { GeneratedTriggers } from '../pack.js';
import { chainFunctions, chainTable, forgetLogged, logColumns, logTables, refuseChange } from './audit-log.js';

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
  const isNew = !has(facts, 'audit_logs');
  // those to come are made ahead, by what is done after each apply
  const missing = facts.months.slice(0, isNew ? undefined : 1).filter(({ name }) => !has(facts, name));
  const months = await readFreeMonths(db, schema, missing);
  const tables = [
    ...facts.relations.filter(isPartOfLog).map(({ name }) => name),
    ...(has(facts, DEFAULT) ? [] : [DEFAULT]),
    ...months.map(({ name }) => name),
  ];
  return {
    problems,
    skipped: withoutWriter(schema, facts),
    setup: [
      ...missingTables(facts, settings),
      ...missingPartitions(schema, facts, months),
      ...missingRights(schema, facts, isNew),
      ...strangeParts(schema, facts),
      ...(isChained ? startChain(schema, facts) : stopChain(schema, facts)),
    ],
    isNew,
    aroundFunctions: facts.role.isOurs && (isNew || facts.role.exists) ? givingAway(schema) : NOTHING.aroundFunctions,
    functions: [refuseChange(schema), forgetLogged(schema), ...(isChained ? chainFunctions(schema) : [])],
    declarations: [
      ...['audit_logs', ...tables].map((table) => protecting(schema, table)),
      forgetting(schema),
      ...(isChained ? chaining(schema) : []),
    ],
  };
}

/** What a log that is there already needs before anything is applied. */
export async function auditPreparation(db: Queryable, settings: AuditLogSettings): Promise<readonly string[]> {
  const { isNew, setup } = await auditLogSetup(db, settings);
  return isNew ? [] : setup;
}

/**
 * Makes the partitions of the months to come, and takes away the entries that need not be kept, in an order in which
 * nobody who writes is waited for for ever.
 */
export async function auditMaintenance(db: Queryable, settings: AuditLogSettings): Promise<readonly string[]> {
  const { schema, isChained, retentionMonths } = settings;
  const facts = await readAuditLogFacts(db, { schema, role: LOG_WRITER, rights: rightsOfWriter(isChained) });
  if (!has(facts, 'audit_logs') || foreignTables(facts, settings).length > 0) return [];
  // as long as there is one for the next month nothing is done; then for some months at once
  const isAhead = facts.months.slice(0, 2).every(({ name }) => has(facts, name));
  const missing = isAhead ? [] : facts.months.filter(({ name }) => !has(facts, name));
  return [
    ...missingPartitions(schema, facts, await readFreeMonths(db, schema, missing)),
    ...(retentionMonths === null ? [] : await retention(db, schema, retentionMonths)),
  ];
}

async function retention(db: Queryable, schema: string, months: number): Promise<readonly string[]> {
  const { partitions, before, hasStrays, hasChain } = await readExpired(db, schema, months);
  if (partitions.length === 0 && !hasStrays) return [];
  const s = escapeIdentifier(schema);
  const rest = `${s}.${DEFAULT}`;
  return [
    // who writes takes the chain first, too
    ...(hasChain ? [`select c.position from ${s}.audit_chain c for update`] : []),
    ...partitions.map((name) => `drop table ${s}.${escapeIdentifier(name)}`),
    ...(hasStrays
      ? [
          `alter table ${rest} disable trigger refuse_change`,
          `delete from ${rest} d where d.created_at < '${before}'`,
          `alter table ${rest} enable always trigger refuse_change`,
        ]
      : []),
    ...(hasChain
      ? [
          `update ${s}.audit_chain c set first_position = coalesce((select min(l.position) from ${s}.audit_logs l), c.position + 1)`,
        ]
      : []),
  ];
}

const DEFAULT = 'audit_logs_default';

const NOTHING: GeneratedTriggers = {
  problems: [],
  skipped: [],
  setup: [],
  isNew: false,
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

/** Also one that somebody has detached: its entries are none to be changed. */
function isPartOfLog({ name, isPartition, columns }: LogRelation): boolean {
  return isPartition || (name.startsWith('audit_logs_') && columns.join() === logColumns().join());
}

/** Each with what keeps its rows from being changed, so that nothing has to be locked for that later. */
function missingPartitions(
  schema: string,
  facts: Pick<AuditLogFacts, 'relations' | 'canProtect'>,
  months: AuditLogFacts['months'],
): string[] {
  const s = escapeIdentifier(schema);
  const isFirst = !facts.relations.some(({ name }) => name === 'audit_logs');
  const partitions = [
    ...(facts.relations.some(({ name }) => name === DEFAULT) ? [] : [{ name: DEFAULT, values: 'default' }]),
    ...months.map(({ name, from, to }) => ({ name, values: `for values from ('${from}') to ('${to}')` })),
  ];
  return partitions.flatMap(({ name, values }) => {
    const table = `${s}.${escapeIdentifier(name)}`;
    const create = `create table ${table} partition of ${s}.audit_logs ${values}`;
    if (isFirst) return [create];
    const protect = `create trigger refuse_change before update or delete or truncate on ${table} for each statement execute function ${s}.refuse_change();
  alter table ${table} enable always trigger refuse_change;`;
    return [
      `do $$ begin
  ${create};${facts.canProtect ? `\n  ${protect}` : ''}
exception when check_violation then
  null; -- somebody was writing entries of that time into the default partition, where they stay
end $$`,
    ];
  });
}

/** Where there was no role when the log was made, it is done without: that does not depend on who looks. */
function missingRights(schema: string, { role, missingRights: missing }: AuditLogFacts, isNew: boolean): string[] {
  if (!role.exists && !(isNew && role.isOurs)) return [];
  const s = escapeIdentifier(schema);
  return [
    ...(role.exists ? [] : [`create role ${LOG_WRITER} nologin`, `grant ${LOG_WRITER} to current_user`]),
    ...missing.map(({ relation, privileges }) => {
      const on = relation === null ? `schema ${s}` : `${s}.${relation}`;
      return `grant ${privileges} on ${on} to ${LOG_WRITER}`;
    }),
  ];
}

/** Whom it will belong to otherwise, in the result of each apply. */
function withoutWriter(schema: string, { role }: AuditLogFacts): GeneratedTriggers['skipped'] {
  if (role.isOurs) return [];
  const reason = role.exists
    ? `the functions of the log cannot be given to ${LOG_WRITER}, which this login may not act for (grant ${LOG_WRITER} to it): who can act for their owner can write into the log`
    : `there is no role ${LOG_WRITER}, and this login may not make it (create role ${LOG_WRITER}): who can act for the owner of the log's functions can write into the log`;
  return [{ schema, table: 'audit_logs', name: 'log_*', reason }];
}

/** What somebody has put on the tables of the log, so that entries are lost or changed. */
function strangeParts(schema: string, { relations }: AuditLogFacts): string[] {
  const s = escapeIdentifier(schema);
  const own = ['audit_logs', 'moving_rows', 'audit_chain'];
  const tables = relations.filter((relation) => own.includes(relation.name) || isPartOfLog(relation));
  return tables.flatMap(({ name, rules, triggers, hasRowSecurity }) => {
    const table = `${s}.${escapeIdentifier(name)}`;
    return [
      ...rules.map((rule) => `drop rule ${escapeIdentifier(rule)} on ${table}`),
      ...triggers.map((trigger) => `drop trigger ${escapeIdentifier(trigger)} on ${table}`),
      ...(hasRowSecurity ? [`alter table ${table} disable row level security, no force row level security`] : []),
    ];
  });
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

function forgetting(schema: string): TriggerDeclaration {
  return defineTrigger('forget_logged', {
    table: { schema, name: 'moving_rows' },
    timing: 'after',
    on: ['insert'],
    when: `new.kind = 'logged'`,
    constraint: { deferrable: true, initiallyDeferred: true },
    mode: 'always',
    function: `${schema}.forget_logged`,
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

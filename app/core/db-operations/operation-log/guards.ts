import type { Queryable } from '../../../database/queryable.js';
import { type LogGuards, readLogGuards } from '../../../database/records/operation-log-guards.js';
import { shippedBody } from '../../../database/schema/ensure-schema.js';

const TABLES = ['operation_log', 'operation_log_head'] as const;

/** The triggers without which the log is not append-only, as PostgreSQL writes them. */
const TRIGGERS = [
  {
    table: 'operation_log',
    trigger: 'chain_operation',
    events: 'BEFORE INSERT',
    level: 'ROW',
  },
  {
    table: 'operation_log',
    trigger: 'refuse_change',
    events: 'BEFORE DELETE OR UPDATE OR TRUNCATE',
    level: 'STATEMENT',
  },
  {
    table: 'operation_log_head',
    trigger: 'refuse_change',
    events: 'BEFORE INSERT OR DELETE OR UPDATE OR TRUNCATE',
    level: 'STATEMENT',
  },
] as const;

const FUNCTIONS = ['append_operation', 'chain_operation', 'operation_log_hash', 'refuse_change'] as const;

/** What is wrong with the protection of the log, a sentence each. */
export async function guardProblems(db: Queryable): Promise<readonly string[]> {
  const guards = await readLogGuards(db);
  return [...tableProblems(guards), ...triggerProblems(guards), ...strangers(guards), ...functionProblems(guards)];
}

function tableProblems({ tables }: LogGuards): readonly string[] {
  return TABLES.flatMap((name) => {
    const present = tables.find(({ table }) => table === name);
    if (present === undefined) return [`The table manage_db.${name} is gone.`];
    if (present.isPlain) return [];
    return [`manage_db.${name} is no plain table any more: what is written into it need not be what is read.`];
  });
}

function triggerProblems({ triggers }: LogGuards): readonly string[] {
  return TRIGGERS.flatMap(({ table, trigger, events, level }) => {
    const present = triggers.find((it) => it.table === table && it.trigger === trigger);
    const name = `The trigger ${trigger} on manage_db.${table}`;
    if (present === undefined) return [`${name} is gone.`];
    if (present.mode !== 'A') return [`${name} is switched off, or not for every session.`];
    const shipped = `CREATE TRIGGER ${trigger} ${events} ON manage_db.${table} FOR EACH ${level} EXECUTE FUNCTION manage_db.${trigger}()`;
    return present.definition === shipped ? [] : [`${name} is another one: ${present.definition}.`];
  });
}

function strangers({ triggers }: LogGuards): readonly string[] {
  return triggers
    .filter((it) => !TRIGGERS.some(({ table, trigger }) => it.table === table && it.trigger === trigger))
    .map(({ table, trigger }) => `The trigger ${trigger} on manage_db.${table} is none of ours.`);
}

function functionProblems({ functions }: LogGuards): readonly string[] {
  return FUNCTIONS.flatMap((name) => {
    const present = functions.find((it) => it.function === name);
    if (present === undefined) return [`The function manage_db.${name} is gone.`];
    if (present.body === shippedBody(name) && present.hasSafePath) return [];
    return [`The function manage_db.${name} is not the one that manage_db has made.`];
  });
}

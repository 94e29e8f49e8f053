import type { AlterTableCmd } from 'libpg-query';
import {
  type NamedRelation,
  type NodeReaders,
  type ParsedStatement,
  rankOf,
  readNode,
  type StatementLock,
  walkTree,
} from '../../../../../services/sql-script.js';
import { type Hit, sqlName } from '../finding.js';
import type { LintRule, StatementContext } from '../statement-context.js';

/** What is dangerous together, in one transaction, or lasts longer than the statement. */
export const transactions: LintRule = (context) => [
  ...outsideOnly(context),
  ...validation(context),
  ...workUnderLock(context),
  ...manyTables(context),
  ...(readNode(context.statement.node, SETTINGS) ?? []),
  ...setConfig(context),
];

/** PostgreSQL refuses it, and the whole file with it. */
function outsideOnly({ statement, isTransactional }: StatementContext): readonly Hit[] {
  if (!isTransactional || !statement.cannotRunInTransaction) return [];
  return [
    {
      rule: 'not-in-transaction',
      severity: 'error',
      cost: 'none',
      message: `PostgreSQL refuses this ${statement.kind} in a transaction, and this file runs in one.`,
      rewrite: `-- transaction: false, in a file of its own\n${statement.text.replace(/;?\s*$/, '')};`,
    },
  ];
}

/** NOT VALID spares a long lock, which VALIDATE in the same transaction then takes all the same. */
function validation({ statement, before, isTransactional, isNew }: StatementContext): readonly Hit[] {
  if (!isTransactional) return [];
  return commandsOf(statement)
    .filter(({ command }) => command.subtype === 'AT_ValidateConstraint')
    .filter(({ command, table }) =>
      before.some((earlier) =>
        commandsOf(earlier.statement).some(
          (one) => isSame(one.table, table) && addedNotValid(one.command) === command.name,
        ),
      ),
    )
    .filter(({ table }) => !isNew(table))
    .map(({ command, table }) => ({
      rule: 'validate-in-same-transaction',
      severity: 'error',
      cost: 'scan',
      table,
      // the one of ADD CONSTRAINT is still held
      lock: 'ACCESS EXCLUSIVE',
      message: `${command.name ?? 'The constraint'} was added NOT VALID in this transaction: the lock of that is held until VALIDATE has read all of ${sqlName(table)}.`,
      rewrite: `-- in a migration of its own:\nalter table ${sqlName(table)} validate constraint ${command.name ?? '…'};`,
    }));
}

function addedNotValid({ subtype, def }: AlterTableCmd): string | null {
  if (subtype !== 'AT_AddConstraint' || def === undefined || !('Constraint' in def)) return null;
  return def.Constraint.skip_validation === true ? (def.Constraint.conname ?? null) : null;
}

/** A statement that takes long, while an earlier one's lock keeps others from the table. */
function workUnderLock({ statement, before, isTransactional, isNew, locks }: StatementContext): readonly Hit[] {
  if (!isTransactional || !isLong(statement) || locks.every((one) => isNew(one))) return [];
  const held = before.flatMap((one) => one.locks).filter((one) => isBlocking(one) && !isNew(one));
  const strongest = held.sort((a, b) => rankOf(b.mode) - rankOf(a.mode))[0];
  if (strongest === undefined) return [];
  return [
    {
      rule: 'work-under-lock',
      severity: 'error',
      cost: 'unknown',
      table: strongest,
      lock: strongest.mode,
      message: `While this ${statement.kind} runs, the ${strongest.mode} lock that an earlier statement has taken on ${sqlName(strongest)} is held.`,
      rewrite: '-- a migration of its own for the rows, one for each change of the table',
    },
  ];
}

function isLong({ kind, node }: ParsedStatement): boolean {
  if (kind === 'update' || kind === 'delete' || kind === 'merge' || kind === 'refresh materialized view') return true;
  return readNode(node, { InsertStmt: ({ selectStmt }) => isQuery(selectStmt), CopyStmt: () => true }) ?? false;
}

/** INSERT … VALUES is short. */
function isQuery(select: unknown): boolean {
  let reads = false;
  walkTree(select, (name) => {
    reads ||= name === 'RangeVar' || name === 'RangeFunction';
  });
  return reads;
}

/** Each table is held until the last one is done, and two who take them in another order block each other for good. */
function manyTables({ locks, before, isTransactional, isNew }: StatementContext): readonly Hit[] {
  if (!isTransactional) return [];
  const old = (list: readonly StatementLock[]) =>
    list.filter((one) => isBlocking(one) && one.kind === 'table' && !isNew(one));
  const earlier = before.flatMap((one) => old(one.locks));
  const [first] = earlier;
  const another = old(locks).find((one) => !earlier.some((known) => isSame(known, one)));
  if (first === undefined || another === undefined) return [];
  // said once: with the second table
  if (earlier.some((one) => !isSame(one, first))) return [];
  return [
    {
      rule: 'many-tables-locked',
      severity: 'warning',
      cost: 'unknown',
      table: another,
      message: `${sqlName(first)} stays locked while this one waits for ${sqlName(another)}: transactions that use both in another order end in a deadlock.`,
      rewrite: '-- one migration for each table',
    },
  ];
}

function isBlocking({ mode }: StatementLock): boolean {
  return rankOf(mode) >= rankOf('SHARE');
}

/** What is set lasts to the end of the session, or for good. */
const SETTINGS: NodeReaders<readonly Hit[]> = {
  VariableSetStmt: ({ kind, name = '', is_local }) =>
    is_local || kind === 'VAR_RESET' || kind === 'VAR_RESET_ALL' || kind === 'VAR_SET_MULTI'
      ? []
      : [sessionSetting(name)],
  AlterSystemStmt: () => [lasting('ALTER SYSTEM', 'every database of the server')],
  AlterDatabaseSetStmt: () => [lasting('ALTER DATABASE … SET', 'every new session, and the applications too')],
  AlterRoleSetStmt: () => [lasting('ALTER ROLE … SET', 'every new session of the role')],
};

function sessionSetting(name: string): Hit {
  return {
    rule: 'session-setting',
    severity: 'warning',
    cost: 'none',
    table: null,
    message: `${name} is set for the session: for every statement that follows, and behind a pooler for others too. manage_db resets it after the file, other runners do not.`,
    rewrite: `set local ${name} = …;`,
  };
}

function lasting(what: string, whom: string): Hit {
  return {
    rule: 'lasting-setting',
    severity: 'warning',
    cost: 'none',
    table: null,
    message: `${what} is for ${whom}. No backup of this database has it, and no rollback takes it back by itself.`,
    rewrite: null,
  };
}

/** `select set_config('search_path', '', false)`, as pg_dump writes it. */
function setConfig({ statement }: StatementContext): readonly Hit[] {
  const hits: Hit[] = [];
  walkTree(statement.node, (name, body) => {
    if (name !== 'FuncCall') return;
    const written = JSON.stringify(body);
    if (!/"sval":"set_config"/.test(written) || !/"boolval":\{\}/.test(written)) return;
    hits.push(sessionSetting(/"A_Const":\{"sval":\{"sval":"([^"]+)"/.exec(written)?.[1] ?? 'a setting'));
  });
  return hits;
}

function commandsOf({ node }: ParsedStatement) {
  return (
    readNode(node, {
      AlterTableStmt: ({ relation, cmds = [] }) =>
        cmds.flatMap((one) =>
          'AlterTableCmd' in one
            ? [
                {
                  command: one.AlterTableCmd,
                  table: { schema: relation?.schemaname ?? null, name: relation?.relname ?? '' },
                },
              ]
            : [],
        ),
    }) ?? []
  );
}

/** A bare name and one with its schema are most likely the same. */
function isSame(one: NamedRelation, other: NamedRelation): boolean {
  return one.name === other.name && (one.schema === null || other.schema === null || one.schema === other.schema);
}

import type { DefElem, FuncCall, Node, SelectStmt, TransactionStmtKind } from 'libpg-query';
import { isOn, type NodeReaders, readNode, textsOf, walkTree } from './parse-tree.js';

const CONTROLS = {
  TRANS_STMT_BEGIN: 'begin',
  TRANS_STMT_START: 'begin',
  TRANS_STMT_COMMIT: 'commit',
  TRANS_STMT_ROLLBACK: 'rollback',
  TRANS_STMT_SAVEPOINT: 'savepoint',
  TRANS_STMT_RELEASE: 'release savepoint',
  TRANS_STMT_ROLLBACK_TO: 'rollback to savepoint',
  TRANS_STMT_PREPARE: 'prepare transaction',
  TRANS_STMT_COMMIT_PREPARED: 'commit prepared',
  TRANS_STMT_ROLLBACK_PREPARED: 'rollback prepared',
} as const satisfies Record<TransactionStmtKind, string>;

/** What a statement does with transactions; END is `commit`, ABORT is `rollback`, START TRANSACTION is `begin`. */
export type TransactionControl = (typeof CONTROLS)[TransactionStmtKind];

export function transactionControl(node: Node): TransactionControl | null {
  return readNode(node, { TransactionStmt: ({ kind }) => (kind === undefined ? null : CONTROLS[kind]) }) ?? null;
}

/** Whether a file with such a statement cannot run in a transaction of ours. Savepoints are within one. */
export function leavesTransaction(control: TransactionControl): boolean {
  return !['savepoint', 'release savepoint', 'rollback to savepoint'].includes(control);
}

/**
 * Whether PostgreSQL, 14 to 18, refuses the statement in a transaction whatever the database holds. Where that depends
 * on the database (the slot of a subscription, a partitioned table) it is left to the server.
 */
export function cannotRunInTransaction(node: Node): boolean {
  return readNode(node, OUTSIDE_ONLY) ?? false;
}

/** Whether it changes the session only: SET without LOCAL, RESET, SET ROLE, and `select set_config(…)`, as pg_dump writes it. */
export function isSessionSetting(node: Node): boolean {
  return readNode(node, SETTING) ?? false;
}

const SETTING: NodeReaders<boolean> = {
  VariableSetStmt: ({ is_local }) => is_local !== true,
  SelectStmt: (select) =>
    (select.targetList ?? []).length > 0 && (select.targetList ?? []).every(setsConfig) && onlySets(select),
};

function setsConfig(target: Node): boolean {
  if (!('ResTarget' in target)) return false;
  const { val } = target.ResTarget;
  return val !== undefined && 'FuncCall' in val && nameOfFunction(val.FuncCall) === 'set_config';
}

/** Nothing else is called in it, and nothing is read or changed. */
function onlySets(select: SelectStmt): boolean {
  let doesOnly = true;
  walkTree(select, (tag, body) => {
    if (BEYOND_SETTING.has(tag)) doesOnly = false;
    // the tag says which node it is
    if (tag === 'FuncCall' && !SETTING_FUNCTIONS.has(nameOfFunction(body as FuncCall))) doesOnly = false;
  });
  return doesOnly;
}

const SETTING_FUNCTIONS = new Set(['set_config', 'current_setting']);
const BEYOND_SETTING = new Set(['SubLink', 'withClause', 'intoClause', 'RangeVar', 'RangeFunction', 'RangeSubselect']);

function nameOfFunction({ funcname }: FuncCall): string {
  return textsOf(funcname).at(-1) ?? '';
}

const OUTSIDE_ONLY: NodeReaders<boolean> = {
  IndexStmt: ({ concurrent }) => concurrent === true,
  DropStmt: ({ concurrent }) => concurrent === true,
  ReindexStmt: ({ kind, params }) =>
    (kind !== 'REINDEX_OBJECT_INDEX' && kind !== 'REINDEX_OBJECT_TABLE') || isOn(params, 'concurrently'),
  AlterTableStmt: ({ cmds = [] }) => cmds.some(detachesConcurrently),
  VacuumStmt: ({ is_vacuumcmd }) => is_vacuumcmd === true,
  ClusterStmt: ({ relation }) => relation === undefined,
  CreatedbStmt: () => true,
  DropdbStmt: () => true,
  AlterDatabaseStmt: ({ options }) => optionOf(options, 'tablespace') !== undefined,
  CreateTableSpaceStmt: () => true,
  DropTableSpaceStmt: () => true,
  AlterSystemStmt: () => true,
  DiscardStmt: ({ target }) => target === 'DISCARD_ALL',
  CreateSubscriptionStmt: ({ options }) =>
    optionOf(options, 'connect') === undefined && optionOf(options, 'create_slot') === undefined,
  AlterSubscriptionStmt: ({ kind, options }) =>
    kind === 'ALTER_SUBSCRIPTION_REFRESH' ||
    (/_PUBLICATION$/.test(kind ?? '') && optionOf(options, 'refresh') === undefined),
  TransactionStmt: ({ kind }) => kind === 'TRANS_STMT_COMMIT_PREPARED' || kind === 'TRANS_STMT_ROLLBACK_PREPARED',
};

function detachesConcurrently(command: Node): boolean {
  if (!('AlterTableCmd' in command)) return false;
  const { def } = command.AlterTableCmd;
  return def !== undefined && 'PartitionCmd' in def && def.PartitionCmd.concurrent === true;
}

function optionOf(options: readonly Node[] | undefined, name: string): DefElem | undefined {
  for (const option of options ?? []) {
    if ('DefElem' in option && option.DefElem.defname === name) return option.DefElem;
  }
  return undefined;
}

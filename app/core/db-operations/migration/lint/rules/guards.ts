import type { AlterTableCmd, Node } from 'libpg-query';
import {
  type NamedRelation,
  type NodeReaders,
  readNode,
  statementObjects,
  walkTree,
} from '../../../../../services/sql-script.js';
import { nextCommand } from '../../../../next-command.js';
import { shellQuote } from '../../../../shell-quote.js';
import { type Hit, quoted, sqlName } from '../finding.js';
import type { LintRule, StatementContext } from '../statement-context.js';

/** What takes a guard away: triggers, row level security, privileges. */
export const guards: LintRule = (context) => [
  ...(readNode(context.statement.node, readersFor(context)) ?? []),
  ...replicationRole(context),
  ...managedTriggers(context),
  ...managedFunctions(context),
];

function readersFor({ isNew }: StatementContext): NodeReaders<readonly Hit[]> {
  return {
    AlterTableStmt: ({ relation, cmds = [] }) => {
      const table = { schema: relation?.schemaname ?? null, name: relation?.relname ?? '' };
      return isNew(table) ? [] : cmds.flatMap((command) => guardCommand(command, table));
    },
    VariableSetStmt: ({ kind, name, args = [] }) =>
      kind === 'VAR_SET_VALUE' && name === 'session_replication_role' && constantOf(args[0]) !== 'origin'
        ? [TRIGGERS_OFF]
        : [],
    GrantStmt: ({ is_grant, grantees = [] }) => (is_grant && grantees.some(isPublic) ? [toPublic('GRANT')] : []),
    AlterDefaultPrivilegesStmt: ({ action }) =>
      action?.is_grant && action.grantees?.some(isPublic) ? [toPublic('ALTER DEFAULT PRIVILEGES')] : [],
    CreateFunctionStmt: ({ options = [] }) => {
      const isDefiner = options.some(
        (one) =>
          'DefElem' in one &&
          one.DefElem.defname === 'security' &&
          one.DefElem.arg !== undefined &&
          'Boolean' in one.DefElem.arg &&
          one.DefElem.arg.Boolean.boolval === true,
      );
      const hasPath = options.some(
        (one) =>
          'DefElem' in one &&
          one.DefElem.defname === 'set' &&
          one.DefElem.arg !== undefined &&
          'VariableSetStmt' in one.DefElem.arg &&
          one.DefElem.arg.VariableSetStmt.name === 'search_path',
      );
      return isDefiner && !hasPath
        ? [
            {
              rule: 'security-definer-search-path',
              severity: 'warning',
              cost: 'none',
              table: null,
              message:
                'A SECURITY DEFINER function without its own search_path executes what its caller puts first in the path, with the rights of its owner.',
              rewrite: '… security definer set search_path = pg_catalog, pg_temp …',
            },
          ]
        : [];
    },
  };
}

const TRIGGERS_OFF: Hit = {
  rule: 'disable-triggers',
  severity: 'error',
  cost: 'none',
  table: null,
  message: 'session_replication_role switches off every ordinary trigger, foreign keys and the audit too.',
  rewrite: null,
};

/** `select set_config('session_replication_role', 'replica', true)` */
function replicationRole({ statement }: StatementContext): readonly Hit[] {
  let isSet = false;
  walkTree(statement.node, (tag, body) => {
    if (tag !== 'FuncCall') return;
    readNode({ FuncCall: body } satisfies Node, {
      FuncCall: ({ funcname = [], args = [] }) => {
        const last = funcname.at(-1);
        const isSetConfig = last !== undefined && 'String' in last && last.String.sval === 'set_config';
        const [name, value] = args.map(constantOf);
        isSet ||= isSetConfig && name?.toLowerCase() === 'session_replication_role' && value !== 'origin';
      },
    });
  });
  return isSet ? [TRIGGERS_OFF] : [];
}

function guardCommand(command: Node, table: NamedRelation): readonly Hit[] {
  if (!('AlterTableCmd' in command)) return [];
  const name = sqlName(table);
  const { subtype } = command.AlterTableCmd;
  if (subtype === 'AT_DisableTrigAll' || subtype === 'AT_DisableTrigUser') {
    const which = subtype === 'AT_DisableTrigAll' ? 'ALL' : 'USER';
    return [
      {
        rule: 'disable-triggers',
        severity: 'error',
        cost: 'instant',
        table,
        message:
          which === 'ALL'
            ? `DISABLE TRIGGER ALL also switches off the foreign keys of ${name}, and nobody checks later what was written meanwhile.`
            : `DISABLE TRIGGER USER switches off every trigger of ${name}, the audit's too.`,
        rewrite: `alter table ${name} disable trigger the_one_that_is_meant;`,
      },
    ];
  }
  if (subtype === 'AT_DisableRowSecurity' || subtype === 'AT_NoForceRowSecurity') {
    return [
      {
        rule: 'disable-row-security',
        severity: 'error',
        cost: 'instant',
        table,
        message: `Without row level security whoever may read ${name} reads all of its rows.`,
        rewrite: `create policy … on ${name} for select to … using (…);`,
      },
    ];
  }
  return [];
}

function toPublic(what: string): Hit {
  return {
    rule: 'grant-to-public',
    severity: 'warning',
    cost: 'none',
    table: null,
    message: `${what} … TO PUBLIC gives it to every role of the server, also to those that will be made.`,
    rewrite: 'grant … to the_role_that_needs_it;',
  };
}

/** A trigger that manage_db answers for is changed where it is declared: else the next check calls it drift. */
function managedTriggers({ statement, facts, environment }: StatementContext): readonly Hit[] {
  return changedTriggers(statement.node, environment).flatMap(({ name, table, verb, rewrite }) => {
    const isManaged = facts.triggers.some((one) => one.name === name && isSame(one.table, table));
    if (!isManaged) return [];
    return [
      {
        rule: 'managed-trigger',
        severity: 'error',
        cost: 'instant',
        table,
        message: `${verb} trigger ${quoted(name)} on ${sqlName(table)}: manage_db manages it, and the next verify-db-triggers reports it.`,
        rewrite,
      } satisfies Hit,
    ];
  });
}

/** With CASCADE the trigger goes along, and nobody has named it. */
function managedFunctions({ statement, facts, environment }: StatementContext): readonly Hit[] {
  const isCascade = readNode(statement.node, { DropStmt: ({ behavior }) => behavior === 'DROP_CASCADE' }) ?? false;
  if (!isCascade) return [];
  return statementObjects(statement.node).flatMap((one) => {
    if (one.type !== 'routine') return [];
    const called = facts.triggers.filter((trigger) => isSame(trigger.function, one));
    return called.map(
      ({ name, table }): Hit => ({
        rule: 'managed-trigger',
        severity: 'error',
        cost: 'instant',
        table,
        message: `drop ${one.kind} ${sqlName(one)} … CASCADE also drops trigger ${quoted(name)}${table === null ? '' : ` on ${sqlName(table)}`}: manage_db manages it, and the next verify-db-triggers reports it.`,
        rewrite: applyDeclared(environment),
      }),
    );
  });
}

interface ChangedTrigger {
  readonly name: string;
  readonly table: NamedRelation;
  readonly verb: string;
  readonly rewrite: string;
}

function changedTriggers(node: Node, environment: string): readonly ChangedTrigger[] {
  const commanded = (verb: string, name: string, table: NamedRelation) => {
    const words = `${verb}-db-trigger ${shellQuote(name)} --table ${shellQuote(sqlName(table))}`;
    return { name, table, verb, rewrite: `-- ${nextCommand(words, environment)}` };
  };
  const declared = (verb: string, name: string, table: NamedRelation) => ({
    ...{ name, table, verb },
    rewrite: applyDeclared(environment),
  });
  return (
    readNode<readonly ChangedTrigger[]>(node, {
      DropStmt: ({ removeType }) =>
        removeType !== 'OBJECT_TRIGGER'
          ? []
          : statementObjects(node).flatMap((one) =>
              one.type === 'part of table' ? [commanded('drop', one.name, one.table)] : [],
            ),
      CreateTrigStmt: ({ replace, trigname = '', relation }) =>
        replace ? [declared('create or replace', trigname, tableOf(relation))] : [],
      RenameStmt: ({ renameType, relation, subname = '' }) =>
        renameType === 'OBJECT_TRIGGER' ? [declared('rename', subname, tableOf(relation))] : [],
      AlterTableStmt: ({ relation, cmds = [] }) =>
        cmds.flatMap((command) => {
          const one: AlterTableCmd = 'AlterTableCmd' in command ? command.AlterTableCmd : {};
          const table = tableOf(relation);
          const { subtype, name = '' } = one;
          if (subtype === 'AT_DisableTrig') return [commanded('disable', name, table)];
          return subtype === 'AT_EnableTrig' || subtype === 'AT_EnableAlwaysTrig' || subtype === 'AT_EnableReplicaTrig'
            ? [commanded('enable', name, table)]
            : [];
        }),
    }) ?? []
  );
}

function applyDeclared(environment: string): string {
  return `-- after the declaration: ${nextCommand('apply-db-triggers', environment)}`;
}

function tableOf(relation: { readonly schemaname?: string; readonly relname?: string } | undefined): NamedRelation {
  return { schema: relation?.schemaname ?? null, name: relation?.relname ?? '' };
}

/** A bare name may be in any schema. */
function isSame(one: NamedRelation | null, other: NamedRelation): boolean {
  if (one === null) return true;
  return one.name === other.name && (one.schema === null || other.schema === null || one.schema === other.schema);
}

function isPublic(grantee: Node): boolean {
  return 'RoleSpec' in grantee && grantee.RoleSpec.roletype === 'ROLESPEC_PUBLIC';
}

function constantOf(node: Node | undefined): string | undefined {
  return node !== undefined && 'A_Const' in node ? node.A_Const.sval?.sval : undefined;
}

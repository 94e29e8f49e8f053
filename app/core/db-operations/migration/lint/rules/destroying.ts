import type { Node } from 'libpg-query';
import { type NodeReaders, objectWords, readNode } from '../../../../../services/sql-script.js';
import { type Hit, quoted, sqlName } from '../finding.js';
import type { LintRule, StatementContext } from '../statement-context.js';

/** What takes rows or objects along that nobody has named. */
export const destroying: LintRule = (context) => readNode(context.statement.node, readersFor(context)) ?? [];

function readersFor({ isNew, statement }: StatementContext): NodeReaders<readonly Hit[]> {
  return {
    DropStmt: ({ behavior, removeType }) =>
      behavior === 'DROP_CASCADE' ? [cascade(`drop ${objectWords(removeType)}`)] : [],
    DropOwnedStmt: () => [
      {
        rule: 'drop-owned',
        severity: 'error',
        cost: 'unknown',
        table: null,
        message: 'DROP OWNED drops everything that the role owns in this database, and its privileges, unseen.',
        rewrite: 'reassign owned by old_role to new_role;',
      },
    ],
    AlterTableStmt: ({ cmds = [] }) => cmds.flatMap(cascadingCommand),
    DeleteStmt: ({ relation, whereClause, usingClause }) =>
      relation === undefined || whereClause !== undefined || usingClause !== undefined
        ? []
        : onOld({ schema: relation.schemaname ?? null, name: relation.relname ?? '' }, (name) => ({
            rule: 'delete-without-where',
            severity: 'error',
            cost: 'rows',
            message: `DELETE without WHERE deletes every row of ${name}.`,
            rewrite: `delete from ${name} where …;`,
          })),
    UpdateStmt: ({ relation, whereClause, fromClause }) =>
      relation === undefined || whereClause !== undefined || fromClause !== undefined
        ? []
        : onOld({ schema: relation.schemaname ?? null, name: relation.relname ?? '' }, (name) => ({
            rule: 'update-without-where',
            severity: 'error',
            cost: 'rows',
            message: `UPDATE without WHERE writes every row of ${name}, and locks each until the transaction ends.`,
            rewrite: batches(name, statement.text),
          })),
    TruncateStmt: ({ relations = [], behavior }) =>
      relations.flatMap((one) => {
        if (!('RangeVar' in one)) return [];
        const relation = { schema: one.RangeVar.schemaname ?? null, name: one.RangeVar.relname ?? '' };
        return onOld(relation, (name) => ({
          rule: 'truncate',
          severity: 'error',
          cost: 'instant',
          message:
            behavior === 'DROP_CASCADE'
              ? `TRUNCATE … CASCADE empties ${name} and every table that refers to it. No trigger for rows fires, the audit's neither.`
              : `TRUNCATE empties ${name}. No trigger for rows fires, the audit's neither.`,
          rewrite: `delete from ${name} where …;`,
        }));
      }),
  };

  function onOld(
    relation: { readonly schema: string | null; readonly name: string },
    hit: (name: string) => Hit,
  ): readonly Hit[] {
    return isNew(relation) ? [] : [{ ...hit(sqlName(relation)), table: relation }];
  }
}

function cascadingCommand(command: Node): readonly Hit[] {
  if (!('AlterTableCmd' in command) || command.AlterTableCmd.behavior !== 'DROP_CASCADE') return [];
  const { subtype, name = '' } = command.AlterTableCmd;
  const part = subtype === 'AT_DropConstraint' ? 'constraint' : 'column';
  return [cascade(`drop ${part} ${quoted(name)}`)];
}

function cascade(what: string): Hit {
  return {
    rule: 'drop-cascade',
    severity: 'error',
    cost: 'instant',
    message: `${what} … CASCADE also drops whatever depends on it: views, foreign keys, functions, whole columns.`,
    rewrite: '-- drop each dependent object by its name first, and then this one without CASCADE',
  };
}

/** In a file of its own, since a block commits after each batch. */
function batches(name: string, text: string): string {
  return [
    '-- transaction: false, in a file of its own',
    'do $$ begin loop',
    `  ${text.replace(/;?\s*$/, '')}`,
    `    where ctid = any (array(select ctid from ${name} where … /* not done yet */ limit 5000));`,
    '  exit when not found;',
    '  commit;',
    'end loop; end $$;',
  ].join('\n');
}

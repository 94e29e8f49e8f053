import type { AlterTableCmd, Node, RangeVar } from 'libpg-query';
import { isOn, type NamedRelation, type NodeReaders, readNode } from '../../../../../services/sql-script.js';
import { nextCommand } from '../../../../next-command.js';
import { type Hit, quoted, sqlName } from '../finding.js';
import type { LintRule, StatementContext } from '../statement-context.js';

/** What others wait for, and squawk does not speak of. What the run itself has created nobody waits for. */
export const locking: LintRule = (context) => readNode(context.statement.node, readersFor(context)) ?? [];

function readersFor({ isNew, locks, statement, environment }: StatementContext): NodeReaders<readonly Hit[]> {
  const onOld = (relation: RangeVar | undefined, hit: (name: string, table: NamedRelation) => Hit): readonly Hit[] => {
    const table = { schema: relation?.schemaname ?? null, name: relation?.relname ?? '' };
    return isNew(table) ? [] : [{ ...hit(sqlName(table), table), table }];
  };
  return {
    LockStmt: ({ nowait }) =>
      locks
        .filter((one) => !isNew(one))
        .map((one) => ({
          rule: 'lock-table',
          severity: one.mode === 'ACCESS EXCLUSIVE' ? 'error' : 'warning',
          cost: 'unknown',
          table: one,
          message: `LOCK TABLE holds ${sqlName(one)} until the transaction ends${nowait ? '' : ', and waits for it until then'}.`,
          rewrite: `lock table ${sqlName(one)} in share update exclusive mode nowait;`,
        })),
    ClusterStmt: ({ relation }) =>
      relation === undefined
        ? [
            {
              ...REWRITES_ALL,
              rule: 'cluster',
              message: 'CLUSTER without a table rewrites every clustered table of the database.',
            },
          ]
        : onOld(relation, (name) => ({
            rule: 'cluster',
            severity: 'error',
            cost: 'rewrite',
            message: `CLUSTER rewrites ${name}, and nobody can even read it meanwhile.`,
            rewrite: `-- outside of migrations: pg_repack --table=${name}`,
          })),
    VacuumStmt: ({ is_vacuumcmd, options, rels = [] }) => {
      if (!is_vacuumcmd || !isOn(options, 'full')) return [];
      if (rels.length === 0)
        return [
          { ...REWRITES_ALL, rule: 'vacuum-full', message: 'VACUUM FULL without a table rewrites the whole database.' },
        ];
      return rels.flatMap((one) =>
        'VacuumRelation' in one
          ? onOld(one.VacuumRelation.relation, (name) => ({
              rule: 'vacuum-full',
              severity: 'error',
              cost: 'rewrite',
              message: `VACUUM FULL rewrites ${name}, and nobody can even read it meanwhile.`,
              rewrite: `vacuum (analyze) ${name};`,
            }))
          : [],
      );
    },
    RefreshMatViewStmt: ({ concurrent, relation, skipData }) =>
      concurrent || skipData
        ? []
        : onOld(relation, (name) => ({
            rule: 'refresh-without-concurrently',
            severity: 'error',
            cost: 'unknown',
            message: `REFRESH keeps everybody from reading ${name} until its query has run. CONCURRENTLY needs a unique index on it.`,
            rewrite: `refresh materialized view concurrently ${name};`,
          })),
    AlterEnumStmt: ({ oldVal, newVal, typeName = [] }) => {
      if (oldVal === undefined) return [];
      const parts = typeName.flatMap((part) => ('String' in part ? [quoted(part.String.sval ?? '')] : []));
      return [
        {
          rule: 'rename-enum-value',
          severity: 'warning',
          cost: 'none',
          table: null,
          message: `Programs that still write ${literal(oldVal)} fail from the commit on, and those that write ${literal(newVal ?? '')} before it.`,
          rewrite: `alter type ${parts.join('.')} add value ${literal(newVal ?? '')}; -- then the programs, then the rows`,
        },
      ];
    },
    CreateTrigStmt: ({ relation, trigname = '' }) =>
      onOld(relation, (name) => ({
        rule: 'create-trigger',
        severity: 'notice',
        cost: 'instant',
        message: `CREATE TRIGGER waits for every transaction that writes into ${name}, and writers wait behind it.`,
        rewrite: `-- declare ${quoted(trigname)} in triggers/: ${nextCommand('apply-db-triggers', environment)}`,
      })),
    CreateStmt: ({ inhRelations = [], partbound, relation }) => {
      const [parent] = inhRelations;
      if (partbound === undefined || parent === undefined || !('RangeVar' in parent)) return [];
      const own = sqlName({ schema: relation?.schemaname ?? null, name: relation?.relname ?? '' });
      return onOld(parent.RangeVar, (name) => ({
        rule: 'create-partition',
        severity: 'warning',
        cost: 'instant',
        message: `CREATE TABLE … PARTITION OF takes all of ${name} for itself, and the rows of a default partition are read.`,
        rewrite: `create table ${own} (like ${name} including all);\nalter table ${name} attach partition ${own} ${boundOf(statement.text)};`,
      }));
    },
    AlterTableStmt: ({ relation, cmds = [] }) => cmds.flatMap((command) => commandHits(command, relation, onOld)),
    AlterTableMoveAllStmt: () => [
      {
        ...REWRITES_ALL,
        rule: 'set-tablespace',
        message: 'ALTER … ALL IN TABLESPACE moves, and so rewrites, each of them.',
      },
    ],
  };
}

const REWRITES_ALL = {
  severity: 'error',
  cost: 'unknown',
  lock: 'ACCESS EXCLUSIVE',
  table: null,
  rewrite: null,
} as const;

type OnOld = (relation: RangeVar | undefined, hit: (name: string, table: NamedRelation) => Hit) => readonly Hit[];

function commandHits(command: Node, relation: RangeVar | undefined, onOld: OnOld): readonly Hit[] {
  if (!('AlterTableCmd' in command)) return [];
  const { AlterTableCmd: one } = command;
  const rewriting = rewritingCommand(one);
  if (rewriting !== null) {
    const [rule, words] = rewriting;
    return onOld(relation, (name) => ({
      rule,
      severity: 'error',
      cost: 'rewrite',
      message: `${words} writes all of ${name} anew, and nobody can even read it meanwhile.`,
      rewrite: null,
    }));
  }
  const { def } = one;
  if (one.subtype === 'AT_AttachPartition' && def !== undefined && 'PartitionCmd' in def) {
    const { name: partition } = def.PartitionCmd;
    const own = { schema: partition?.schemaname ?? null, name: partition?.relname ?? '' };
    return onOld(partition, () => ({
      rule: 'attach-partition',
      severity: 'warning',
      cost: 'scan',
      message: `ATTACH PARTITION reads all of ${sqlName(own)} under its lock, unless a CHECK that is valid says the same as the bounds.`,
      rewrite: [
        `alter table ${sqlName(own)} add constraint bounds check (…) not valid;`,
        `alter table ${sqlName(own)} validate constraint bounds; -- in a migration of its own`,
        `-- then attach, and drop the constraint`,
      ].join('\n'),
    }));
  }
  if (one.subtype === 'AT_AddConstraint' && def !== undefined && 'Constraint' in def) {
    if (def.Constraint.contype !== 'CONSTR_EXCLUSION') return [];
    return onOld(relation, (name) => ({
      rule: 'add-exclusion-constraint',
      severity: 'error',
      cost: 'index',
      message: `An EXCLUDE constraint builds its index while nobody can read or write ${name}. There is no way without.`,
      rewrite: null,
    }));
  }
  return [];
}

function rewritingCommand({ subtype, name }: AlterTableCmd): readonly [rule: string, words: string] | null {
  switch (subtype) {
    case 'AT_SetLogged':
      return ['set-logged', 'SET LOGGED'];
    case 'AT_SetUnLogged':
      return ['set-logged', 'SET UNLOGGED'];
    case 'AT_SetTableSpace':
      return ['set-tablespace', `SET TABLESPACE ${name ?? ''}`.trim()];
    case 'AT_SetAccessMethod':
      return ['set-access-method', 'SET ACCESS METHOD'];
    default:
      return null;
  }
}

function boundOf(text: string): string {
  return /\b(for\s+values\b[\s\S]*?\)|default)\s*(?:partition\s+by\b[\s\S]*)?;?\s*$/i.exec(text)?.[1] ?? 'for values …';
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

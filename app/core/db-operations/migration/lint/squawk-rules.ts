import type { ParsedStatement, StatementLock } from '../../../../services/sql-script.js';
import type { SquawkFinding } from '../../../../services/squawk.js';
import { type Cost, type Severity, sqlName } from './finding.js';

/** What squawk does not say about one of its rules. */
interface SquawkRule {
  readonly severity: Severity;
  readonly cost: Cost;
  /** Of a statement; `null` where it is up to a person. */
  readonly rewrite?: (text: string, lock: StatementLock | null) => string | null;
}

/** Rules that would be wrong here. */
export const EXCLUDED: readonly string[] = [
  // the runner sets one, and repeats what it has ended
  'require-lock-timeout',
  // building an index concurrently must not be ended in the middle
  'require-statement-timeout',
  // the journal knows what was done; IF NOT EXISTS would take an invalid index for a good one
  'prefer-robust-stmts',
  // said by rules of our own, which know more
  'ban-truncate-cascade',
  'ban-concurrent-index-creation-in-transaction',
];

const OUTSIDE = '-- transaction: false, in a file of its own';

/** Without a line here: a warning, and its cost is nobody's business. */
const RULES: Readonly<Record<string, SquawkRule>> = {
  'require-concurrent-index-creation': {
    severity: 'error',
    cost: 'index',
    rewrite: (text) => `${OUTSIDE}\n${text.replace(/^(create\s+(?:unique\s+)?index)\b/i, '$1 concurrently')};`,
  },
  'require-concurrent-index-deletion': {
    severity: 'error',
    cost: 'instant',
    rewrite: (text) => `${OUTSIDE}\n${text.replace(/^(drop\s+index)\b/i, '$1 concurrently')};`,
  },
  'require-concurrent-reindex': {
    severity: 'error',
    cost: 'index',
    rewrite: (text) =>
      `${OUTSIDE}\n${text.replace(/^(reindex\s*(?:\([^)]*\)\s*)?(?:index|table|schema|database))\b/i, '$1 concurrently')};`,
  },
  'require-concurrent-partition-detach': {
    severity: 'error',
    cost: 'instant',
    rewrite: (text) => `${OUTSIDE}\n${text} concurrently;`,
  },
  'adding-foreign-key-constraint': { severity: 'error', cost: 'scan', rewrite: notValid },
  'constraint-missing-not-valid': { severity: 'error', cost: 'scan', rewrite: notValid },
  'adding-not-nullable-field': {
    severity: 'error',
    cost: 'scan',
    rewrite: (text, lock) => {
      const [, column] = /alter\s+(?:column\s+)?(\S+)\s+set\s+not\s+null/i.exec(text) ?? [];
      if (column === undefined || lock === null) return null;
      const table = sqlName(lock);
      return [
        `alter table ${table} add constraint filled check (${column} is not null) not valid;`,
        '-- in a migration of its own:',
        `alter table ${table} validate constraint filled;`,
        '-- and then, which no longer reads the table:',
        `alter table ${table} alter column ${column} set not null;`,
        `alter table ${table} drop constraint filled;`,
      ].join('\n');
    },
  },
  'adding-required-field': { severity: 'error', cost: 'none' },
  'adding-field-with-default': {
    severity: 'error',
    cost: 'rewrite',
    rewrite: (_text, lock) =>
      lock === null
        ? null
        : [
            `alter table ${sqlName(lock)} add column …;`,
            `alter table ${sqlName(lock)} alter column … set default …; -- for new rows; the old ones in batches`,
          ].join('\n'),
  },
  'adding-serial-primary-key-field': { severity: 'error', cost: 'index', rewrite: usingIndex('primary key') },
  'disallowed-unique-constraint': { severity: 'error', cost: 'index', rewrite: usingIndex('unique') },
  'changing-column-type': {
    severity: 'error',
    cost: 'rewrite',
    rewrite: (_text, lock) =>
      lock === null
        ? null
        : [
            `alter table ${sqlName(lock)} add column new_column …;`,
            '-- fill it in batches, keep both filled by a trigger, let the programs change over,',
            `alter table ${sqlName(lock)} drop column old_column; -- and rename`,
          ].join('\n'),
  },
  'ban-alter-domain-with-add-constraint': {
    severity: 'warning',
    cost: 'scan',
    rewrite: (text) => `${text} not valid;\n-- and validate it in a migration of its own`,
  },
  'ban-create-domain-with-constraint': { severity: 'notice', cost: 'none' },
  'ban-drop-database': { severity: 'error', cost: 'none' },
  'ban-drop-table': { severity: 'warning', cost: 'instant', rewrite: (_text, lock) => renamedFirst(lock) },
  'ban-drop-column': { severity: 'warning', cost: 'instant' },
  'ban-drop-not-null': { severity: 'warning', cost: 'instant' },
  'renaming-column': { severity: 'warning', cost: 'instant' },
  'renaming-table': {
    severity: 'warning',
    cost: 'instant',
    rewrite: (text, lock) =>
      lock === null ? null : `${text};\ncreate view ${sqlName(lock)} as select * from …; -- for programs of before`,
  },
  'transaction-nesting': { severity: 'error', cost: 'none' },
  'ban-uncommitted-transaction': { severity: 'error', cost: 'none' },
  'ban-char-field': { severity: 'notice', cost: 'none' },
  'prefer-big-int': { severity: 'notice', cost: 'none' },
  'prefer-bigint-over-int': { severity: 'notice', cost: 'none' },
  'prefer-bigint-over-smallint': { severity: 'notice', cost: 'none' },
  'prefer-identity': { severity: 'notice', cost: 'none' },
  'prefer-text-field': { severity: 'notice', cost: 'none' },
  'prefer-timestamp-tz': { severity: 'notice', cost: 'none' },
};

const OTHER: SquawkRule = { severity: 'warning', cost: 'none' };

export function squawkRule(rule: string): SquawkRule {
  return RULES[rule] ?? OTHER;
}

/** Those of one statement, without what is said twice or is not possible. */
export function withoutRepeats(
  statement: ParsedStatement,
  findings: readonly SquawkFinding[],
): readonly SquawkFinding[] {
  const rules = new Set(findings.map(({ rule }) => rule));
  const isSaidBetter = [
    'adding-foreign-key-constraint',
    'adding-serial-primary-key-field',
    'disallowed-unique-constraint',
  ].some((rule) => rules.has(rule));
  // squawk says so of EXCLUDE too, which cannot be NOT VALID, and of VALIDATE
  const isPossible = addsCheckOrForeignKey(statement);
  return findings.filter(({ rule }) => rule !== 'constraint-missing-not-valid' || (isPossible && !isSaidBetter));
}

function addsCheckOrForeignKey({ node }: ParsedStatement): boolean {
  if (!('AlterTableStmt' in node)) return 'AlterDomainStmt' in node;
  return (node.AlterTableStmt.cmds ?? []).some((one) => {
    const def = 'AlterTableCmd' in one ? one.AlterTableCmd.def : undefined;
    const type = def !== undefined && 'Constraint' in def ? def.Constraint.contype : undefined;
    return type === 'CONSTR_CHECK' || type === 'CONSTR_FOREIGN';
  });
}

function notValid(text: string, lock: StatementLock | null): string {
  const [, name] = /constraint\s+("(?:[^"]|"")+"|\w+)/i.exec(text) ?? [];
  const table = lock === null ? '…' : sqlName(lock);
  return `${text} not valid;\n-- in a migration of its own:\nalter table ${table} validate constraint ${name ?? '…'};`;
}

function usingIndex(kind: string): NonNullable<SquawkRule['rewrite']> {
  return (text, lock) => {
    const [, columns = '…'] = /\(([^)]*)\)\s*$/.exec(text) ?? [];
    const table = lock === null ? '…' : sqlName(lock);
    return [
      OUTSIDE,
      `create unique index concurrently new_index on ${table} (${columns});`,
      '-- in a migration of its own:',
      `alter table ${table} add constraint … ${kind} using index new_index;`,
    ].join('\n');
  };
}

function renamedFirst(lock: StatementLock | null): string | null {
  return lock === null
    ? null
    : `alter table ${sqlName(lock)} rename to …; -- dropped when nobody has missed it for a while`;
}

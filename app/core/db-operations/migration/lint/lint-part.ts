import {
  type LockMode,
  type NamedRelation,
  type ParsedStatement,
  placeOf,
  rankOf,
  readComments,
  type StatementLock,
  shownPath,
} from '../../../../services/sql-script.js';
import type { SquawkFinding } from '../../../../services/squawk.js';
import type { CreatedRelations } from './created-relations.js';
import { estimate, isSmall } from './estimate.js';
import { type Blocks, type Hit, type LintFinding, type Severity, sqlName } from './finding.js';
import { type IgnoreComment, readIgnores } from './ignore-comments.js';
import type { LiveFacts } from './live-facts.js';
import type { ParsedPart, ReadStatement } from './parse-parts.js';
import { destroying } from './rules/destroying.js';
import { guards } from './rules/guards.js';
import { locking } from './rules/locking.js';
import { transactions } from './rules/transactions.js';
import { squawkRule, withoutRepeats } from './squawk-rules.js';
import type { LintRule, StatementContext } from './statement-context.js';

const RULES: readonly LintRule[] = [destroying, guards, locking, transactions];

export interface PartLinting {
  readonly environment: string;
  readonly created: CreatedRelations;
  readonly facts: LiveFacts;
  /** What squawk says about this part. */
  readonly squawk: readonly SquawkFinding[];
  readonly warn: (warning: string) => void;
}

/** Everything that is to be said about one part, in the order of the file, without what its comments ignore. */
export async function lintPart(
  part: ParsedPart,
  { environment, created, facts, squawk, warn }: PartLinting,
): Promise<LintFinding[]> {
  if (part.problem !== null) return [syntaxError(part, part.problem)];
  const found: Found[] = [];
  const placed = squawk.map((finding) => ({ ...finding, offset: offsetOfSquawk(part, finding) }));
  part.statements.forEach((one, index) => {
    const context: StatementContext = {
      ...one,
      before: part.statements.slice(0, index),
      isTransactional: part.isTransactional,
      isNew: (relation) => created.has(relation),
      facts,
      environment,
    };
    found.push(...RULES.flatMap((rule) => rule(context)).map((hit) => ({ hit, one, offset: one.statement.offset })));
    if (!one.isInBlock) found.push(...squawkHits(placed, { ...one, direction: part.direction }, created));
    created.add(one.statement);
  });
  const kept = await withoutIgnored(part, once(found), warn);
  return kept
    .map((one) => findingOf(part, one, { created, facts }))
    .sort((a, b) => a.line - b.line || a.column - b.column);
}

/** What a statement within another one is said of, may be said of both. */
function once(found: readonly Found[]): readonly Found[] {
  const keyOf = ({ hit: { rule, message }, offset }: Found) => JSON.stringify([rule, message, offset]);
  return [...new Map([...found].reverse().map((one) => [keyOf(one), one])).values()].reverse();
}

interface Found {
  readonly hit: Hit;
  readonly one: ReadStatement;
  /** Where it is shown. */
  readonly offset: number;
}

/** Of squawk; what it says about the locks of relations that the run has created is no danger. */
function squawkHits(
  findings: readonly (SquawkFinding & { readonly offset: number })[],
  one: ReadStatement & { readonly direction: ParsedPart['direction'] },
  created: CreatedRelations,
): readonly Found[] {
  const { statement, locks } = one;
  const end = statement.offset + statement.text.length;
  const own = findings.filter(({ offset }) => offset >= statement.offset && offset <= end);
  const isHarmless = locks.length > 0 && locks.every((lock) => created.has(lock));
  const target = strongest(locks);
  return withoutRepeats(statement, own).flatMap((finding) => {
    const { rule, message, help, line, column } = finding;
    const { severity, cost, rewrite } = squawkRule(rule);
    if (isHarmless && cost !== 'none') return [];
    const said = [message, help].filter((text) => text !== null && text !== '').join(' ');
    const hit: Hit = {
      rule: `squawk/${rule}`,
      // a down part is there to drop what the up part has made
      severity: one.direction === 'down' && rule.startsWith('ban-drop-') ? 'notice' : severity,
      cost,
      message: said,
      rewrite: rewrite?.(statement.text.replace(/;\s*$/, ''), target) ?? null,
      ...(cost === 'none' ? { table: null } : {}),
    };
    return [
      {
        hit,
        one,
        offset: own.find((known) => known.line === line && known.column === column)?.offset ?? statement.offset,
      },
    ];
  });
}

/** squawk counts lines from 0, and in a line the bytes. */
function offsetOfSquawk({ source }: ParsedPart, { line, column }: SquawkFinding): number {
  let start = 0;
  for (let passed = 0; passed < line; passed += 1) start = source.sql.indexOf('\n', start) + 1;
  const text = source.sql.slice(
    start,
    source.sql.indexOf('\n', start) === -1 ? undefined : source.sql.indexOf('\n', start),
  );
  return start + Buffer.from(text).toString('utf8', 0, column).length;
}

async function withoutIgnored(part: ParsedPart, found: readonly Found[], warn: PartLinting['warn']): Promise<Found[]> {
  const statements = part.statements.filter(({ isInBlock }) => !isInBlock).map(({ statement }) => statement);
  const ignores = readIgnores(await readComments(part.source.sql), statements);
  const used = new Set<string>();
  const kept = found.filter(({ hit, one }) => {
    const matching = ignores.flatMap((ignore, index) =>
      ignore.rules.filter((rule) => isMeant(ignore, rule, hit, one.statement)).map((rule) => `${index} ${rule}`),
    );
    for (const key of matching) used.add(key);
    return matching.length === 0;
  });
  for (const [index, { rules, offset }] of ignores.entries()) {
    for (const rule of rules.filter((one) => !used.has(`${index} ${one}`))) {
      const { line } = placeOf(part.source, offset);
      warn(`${shownPath(part.source.path)}:${line}: manage_db:ignore ${rule} ignores nothing.`);
    }
  }
  return kept;
}

/** Also what a DO block executes is in the statement. squawk's rules may be written without `squawk/`. */
function isMeant({ isForFile, statement }: IgnoreComment, rule: string, hit: Hit, one: ParsedStatement): boolean {
  if (rule !== hit.rule && `squawk/${rule}` !== hit.rule) return false;
  if (isForFile) return true;
  return statement !== null && one.offset >= statement.offset && one.offset <= statement.offset + statement.text.length;
}

interface Known {
  readonly created: CreatedRelations;
  readonly facts: LiveFacts;
}

function findingOf(part: ParsedPart, { hit, one, offset }: Found, { created, facts }: Known): LintFinding {
  const old = one.locks.filter((lock) => !created.has(lock));
  const own = strongest(old.length > 0 ? old : one.locks);
  const table: NamedRelation | null = hit.table === undefined ? own : hit.table;
  const mode = hit.lock ?? modeFor(one.locks, table) ?? (hit.table === null ? null : (own?.mode ?? null));
  const live = table === null ? null : facts.relation(table);
  const { words, ms } = estimate(hit.cost, live);
  const { line, column } = placeOf(part.source, offset);
  return {
    file: part.source.path,
    direction: part.direction,
    line,
    column,
    rule: hit.rule,
    severity: severityOf(hit, isSmall(live)),
    lock: mode,
    blocks: hit.cost === 'rows' ? 'writes' : blockedBy(mode),
    table: table === null ? null : sqlName(live ?? table),
    tableRows: live?.rows ?? null,
    tableBytes: live?.bytes ?? null,
    estimate: words,
    estimateMs: ms,
    message: `${hit.message}${alsoLocked(hit, old, table)}`,
    rewrite: hit.rewrite,
  };
}

/** A foreign key or a partition locks two tables, and both have somebody who waits. */
function alsoLocked({ lock, table }: Hit, locks: readonly StatementLock[], shown: NamedRelation | null): string {
  // a rule that names its table or its lock speaks of that one
  if (lock !== undefined || table !== undefined) return '';
  return locks
    .filter((one) => blockedBy(one.mode) !== 'nothing' && one !== shown)
    .map((one) => ` It also takes ${one.mode} on ${sqlName(one)}.`)
    .join('');
}

/** What is over before anybody notices is worth a warning, and not a failure. */
function severityOf({ severity, cost }: Hit, isSmallTable: boolean): Severity {
  const isAboutTime = cost === 'scan' || cost === 'index' || cost === 'rewrite';
  return severity === 'error' && isAboutTime && isSmallTable ? 'warning' : severity;
}

function modeFor(locks: readonly StatementLock[], table: NamedRelation | null): LockMode | null {
  if (table === null) return null;
  return locks.find(({ schema, name }) => schema === table.schema && name === table.name)?.mode ?? null;
}

function strongest(locks: readonly StatementLock[]): StatementLock | null {
  return [...locks].sort((a, b) => rankOf(b.mode) - rankOf(a.mode))[0] ?? null;
}

/** The table of conflicting modes in the manual: reading takes ACCESS SHARE, writing ROW EXCLUSIVE. */
function blockedBy(mode: LockMode | null): Blocks {
  if (mode === null || rankOf(mode) < rankOf('SHARE')) return 'nothing';
  return mode === 'ACCESS EXCLUSIVE' ? 'reads and writes' : 'writes';
}

function syntaxError({ source, direction }: ParsedPart, problem: NonNullable<ParsedPart['problem']>): LintFinding {
  return {
    file: source.path,
    direction,
    line: problem.line,
    column: problem.column,
    rule: 'syntax-error',
    severity: 'error',
    lock: null,
    blocks: 'nothing',
    table: null,
    tableRows: null,
    tableBytes: null,
    estimate: null,
    estimateMs: null,
    message: problem.message,
    rewrite: null,
  };
}

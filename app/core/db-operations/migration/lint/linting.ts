import { getWorkspace } from '../../../../config/workspace.js';
import { shownPath } from '../../../../services/sql-script.js';
import { findSquawk, runSquawk, type SquawkFinding } from '../../../../services/squawk.js';
import { messageOf } from '../../../errors.js';
import { type OperationControls, stopIfAborted } from '../../../progress.js';
import { readPacks } from '../../trigger-work/packs.js';
import { CreatedRelations } from './created-relations.js';
import { type LintedStatement, type LintFinding, SEVERITIES, type Severity, sqlName } from './finding.js';
import { lintPart } from './lint-part.js';
import { readParts } from './lint-parts.js';
import { type LiveDatabase, type LiveFacts, type ManagedTrigger, NOTHING_KNOWN, readLiveFacts } from './live-facts.js';
import { namesIn, type ParsedPart, parsePart } from './parse-parts.js';
import { EXCLUDED } from './squawk-rules.js';

export interface LintSelection {
  /** Paths of SQL files. None: the migrations that are pending, or all where the database cannot be asked. */
  readonly files?: readonly string[] | undefined;
  /** Also the migrations that were applied. */
  readonly all?: boolean | undefined;
  /** Also the down parts. */
  readonly down?: boolean | undefined;
}

export interface LintResult {
  readonly findings: readonly LintFinding[];
  readonly counts: Readonly<Record<Severity, number>>;
  /** Every statement with the locks that it takes by name, in the order in which they would run. */
  readonly statements: readonly LintedStatement[];
  /** How many files there were to lint. */
  readonly files: number;
  /** Whose tables were looked at; `null`: it could not be asked. */
  readonly database: {
    readonly environment: string;
    readonly host: string;
    readonly port: number;
    readonly name: string;
  } | null;
  readonly warnings: readonly string[];
}

/** The work of `lint-db-migration`, without the gate and the connection. */
export class Linting {
  constructor(
    private readonly environment: string,
    private readonly options: LintSelection & Pick<OperationControls, 'signal'>,
    private readonly warnings: string[],
  ) {}

  async run(db: LiveDatabase | null, serverVersion: string | null): Promise<LintResult> {
    const { files = [], all = false, down = false } = this.options;
    const { migrationsDir: folder, root } = await getWorkspace();
    const pendingIn = all ? null : (db?.catalog ?? null);
    const parts: ParsedPart[] = [];
    for (const part of await readParts({ files, folder, pendingIn, withDown: down, warn: this.warn })) {
      parts.push(await parsePart(part, this.warn));
    }
    const facts = await this.facts(db, parts);
    const created = new CreatedRelations();
    const program = findSquawk();
    if (program === null) this.warn(NO_SQUAWK);
    const findings: LintFinding[] = [];
    for (const part of parts) {
      // migrations that were applied long ago have created what is in use by now
      const known = all || part.direction === 'down' ? new CreatedRelations() : created;
      const squawk = program === null ? [] : await this.squawk(program, part, { folder: root, serverVersion });
      const { environment, warn } = this;
      findings.push(...(await lintPart(part, { environment, created: known, facts, squawk, warn })));
    }
    return {
      findings,
      counts: countsOf(findings),
      statements: parts.flatMap(statementsOf),
      files: new Set(parts.map(({ source }) => source.path)).size,
      database: null,
      warnings: this.warnings,
    };
  }

  private readonly warn = (warning: string): void => {
    this.warnings.push(warning);
  };

  private async facts(db: LiveDatabase | null, parts: readonly ParsedPart[]): Promise<LiveFacts> {
    const declared = await this.declaredTriggers();
    if (db === null) return { ...NOTHING_KNOWN, triggers: declared };
    try {
      const live = await readLiveFacts(db, parts.flatMap(namesIn));
      return { ...live, triggers: [...live.triggers, ...declared] };
    } catch (error) {
      stopIfAborted(this.options.signal);
      this.warn(`The sizes of the tables could not be read: ${messageOf(error)}.`);
      return { ...NOTHING_KNOWN, triggers: declared };
    }
  }

  /** Of the workspace; what is wrong with its declarations is not the migrations' business. */
  private async declaredTriggers(): Promise<readonly ManagedTrigger[]> {
    const packs = await readPacks().catch((error: unknown) => {
      this.warn(`The declared triggers could not be read: ${messageOf(error)}`);
      return [];
    });
    return packs.flatMap(({ declarations }) =>
      declarations.map((one) => ({
        name: one.name,
        table: declaredTable(one.table),
        function: declaredName(one.function),
      })),
    );
  }

  private async squawk(
    program: string,
    part: ParsedPart,
    { folder, serverVersion }: { readonly folder: string; readonly serverVersion: string | null },
  ): Promise<readonly SquawkFinding[]> {
    if (part.problem !== null || part.statements.length === 0) return [];
    const { signal } = this.options;
    const { environment } = this;
    const { source, isTransactional } = part;
    const given = { environment, folder, serverVersion, isTransactional, exclude: EXCLUDED, signal };
    try {
      const findings = await runSquawk(program, source.sql, given);
      const unread = findings.find(({ rule }) => rule === 'syntax-error');
      if (unread === undefined) return findings;
      // PostgreSQL's own parser has read it
      const line = source.firstLine + unread.line;
      this.warn(`${shownPath(source.path)}:${line}: squawk cannot read this, and was not asked: ${unread.message}.`);
      return [];
    } catch (error) {
      if (signal?.aborted) throw error;
      this.warn(`squawk could not lint ${shownPath(source.path)}: ${messageOf(error)}`);
      return [];
    }
  }
}

const NO_SQUAWK =
  'squawk is not installed, so only the rules of manage_db were applied. Install it: npm install --include=optional';

function declaredTable(table: unknown): ManagedTrigger['table'] {
  if (typeof table === 'string') return declaredName(table);
  if (typeof table !== 'object' || table === null || !('schema' in table) || !('name' in table)) return null;
  return { schema: String(table.schema), name: String(table.name) };
}

function declaredName(written: string): NonNullable<ManagedTrigger['table']> {
  const [first = '', second] = written.split('.');
  return second === undefined ? { schema: null, name: first } : { schema: first, name: second };
}

function countsOf(findings: readonly LintFinding[]): Record<Severity, number> {
  const counts = { notice: 0, warning: 0, error: 0 };
  for (const severity of SEVERITIES) counts[severity] = findings.filter((one) => one.severity === severity).length;
  return counts;
}

function statementsOf({ source, direction, statements }: ParsedPart): LintedStatement[] {
  return statements.map(({ statement, locks }) => ({
    file: source.path,
    direction,
    line: statement.line,
    kind: statement.kind,
    locks: locks.map((lock) => ({ table: sqlName(lock), kind: lock.kind, mode: lock.mode })),
  }));
}

import { getWorkspace } from '../../../config/workspace.js';
import { pinned } from '../../../services/catalog-path.js';
import { shownPath } from '../../../services/sql-script.js';
import { findSquawk, runSquawk, type SquawkFinding } from '../../../services/squawk.js';
import { withConnection } from '../../../services/with-connection.js';
import { currentEnv } from '../../environment.js';
import { normalizeEnv } from '../../environment-names.js';
import { type ErrorCode, ManageDbError, messageOf } from '../../errors.js';
import { guarded, type OperationOptions, type Target } from '../../safety/gate.js';
import { readPacks } from '../trigger-work/packs.js';
import { CreatedRelations } from './lint/created-relations.js';
import { type LintedStatement, type LintFinding, SEVERITIES, type Severity, sqlName } from './lint/finding.js';
import { lintPart } from './lint/lint-part.js';
import { readParts } from './lint/lint-parts.js';
import {
  type LiveDatabase,
  type LiveFacts,
  type ManagedTrigger,
  NOTHING_KNOWN,
  readLiveFacts,
} from './lint/live-facts.js';
import { namesIn, type ParsedPart, parsePart } from './lint/parse-parts.js';
import { EXCLUDED } from './lint/squawk-rules.js';

export type { Blocks, LintedStatement, LintFinding, Severity } from './lint/finding.js';

export interface LintOptions extends Pick<OperationOptions, 'env' | 'signal' | 'onTarget' | 'onProgress'> {
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

/** Asking must not queue up behind work. */
const LOCK_TIMEOUT = '2s';

/** Without a database that can be asked there is less to say, and no reason to say nothing. */
const OUT_OF_REACH: readonly ErrorCode[] = [
  'MISSING_SETTING',
  'CONNECTION_REFUSED',
  'CONNECTION_TIMEOUT',
  'CONNECTION_LOST',
  'HOST_NOT_FOUND',
  'SSL_FAILED',
  'AUTHENTICATION_FAILED',
  'PERMISSION_DENIED',
  'DATABASE_MISSING',
  'TOO_MANY_CONNECTIONS',
  'SERVER_UNAVAILABLE',
  'TARGET_SESSION_ATTRS',
  'EMBEDDED_SERVER_FAILED',
];

/**
 * Reads migrations as a careful colleague would: what they destroy, what they lock, whom that keeps waiting and for how
 * long, as large as the tables are now, and how it is done safely. Executes nothing of them.
 *
 * @throws ManageDbError `UNREADABLE_FILE`, `INVALID_CONFIGURATION` for files that are no migrations, `INTERRUPTED`
 * @example
 * const { findings } = await lintMigrations({ env: 'production' });
 * const grave = findings.filter(({ severity }) => severity === 'error');
 */
export async function lintMigrations(options: LintOptions = {}): Promise<LintResult> {
  try {
    return await guarded('lint-db-migration', options, (target) => lintFor(target, options));
  } catch (error) {
    if (!(error instanceof ManageDbError) || !OUT_OF_REACH.includes(error.code)) throw error;
    const environment = normalizeEnv(options.env ?? currentEnv());
    const which = options.files?.length ? '' : ' All migrations were linted, pending or not.';
    return new Linting(environment, options, [
      `The database of ${environment} could not be asked, so the sizes of its tables are not known.${which} ${error.message}`,
    ]).run(null, null);
  }
}

function lintFor(target: Target, options: LintOptions): Promise<LintResult> {
  const { settings, environment, serverVersion, host, port, database: name } = target;
  return withConnection(settings, { signal: options.signal, searchPath: 'application' }, async (client) => {
    // no transaction: what cannot be read must not keep us from reading the rest
    await client.query(`set default_transaction_read_only = on; set lock_timeout = '${LOCK_TIMEOUT}'`);
    const result = await new Linting(environment, options, []).run(
      { application: client, catalog: pinned(client) },
      serverVersion,
    );
    return { ...result, database: { environment, host, port, name } };
  });
}

/** One call of {@link lintMigrations}. */
class Linting {
  constructor(
    private readonly environment: string,
    private readonly options: LintOptions,
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
      this.options.signal?.throwIfAborted();
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

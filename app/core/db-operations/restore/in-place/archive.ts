import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import type { AlterTableStmt, Constraint, RangeVar, RawStmt } from 'libpg-query';
import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import { runClientTool } from '../../../../services/client-tools.js';
import { parseTree } from '../../../../services/sql-script/parse-tree.js';
import { ManageDbError } from '../../../errors.js';
import { type Entry, type EntryKind, parseContents, useList } from '../../backup/contents.js';

/** A table as the archive makes it. */
export interface ArchivedTable {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly isPartitioned: boolean;
  /** What follows the name in its CREATE TABLE. */
  readonly definition: string;
}

export interface ArchivedKey {
  readonly id: number;
  readonly name: string;
  readonly table: Named;
  readonly referenced: Named;
}

export interface Named {
  readonly schema: string;
  readonly name: string;
}

export interface ArchiveFile {
  readonly path: string;
  /** Of the backup, for messages. */
  readonly backup: string;
  readonly pgRestore: string;
  readonly settings: ConnectionSettings;
  readonly signal: AbortSignal | undefined;
  /** What is left out of it: see `leavingOut`. */
  readonly args: readonly string[];
}

/**
 * An archive of pg_dump, taken apart: its table of contents with what depends on what, and exact names from its SQL as
 * PostgreSQL's own parser reads it. Connects to nothing.
 */
export class Archive {
  private read: Promise<readonly ArchivedTable[]> | null = null;

  private constructor(
    private readonly file: ArchiveFile,
    readonly entries: readonly Entry[],
  ) {}

  /** @throws ManageDbError `CLIENT_TOOL_FAILED`, `INTERRUPTED` */
  static async open(file: ArchiveFile): Promise<Archive> {
    const { pgRestore, path, settings, signal } = file;
    const { stdout } = await runClientTool(pgRestore, ['--list', '--verbose', path], { settings, signal });
    return new Archive(file, parseContents(stdout));
  }

  ofKind(kind: EntryKind): readonly Entry[] {
    return this.entries.filter((entry) => entry.kind === kind);
  }

  tables(): Promise<readonly ArchivedTable[]> {
    this.read ??= this.readTables();
    return this.read;
  }

  private readTables(): Promise<readonly ArchivedTable[]> {
    return this.each(this.ofKind('TABLE'), 'CreateStmt', ({ stmt: { CreateStmt }, id, text, start }) => {
      const { relation, partspec } = CreateStmt;
      const { schema, name } = namedBy(relation);
      const from = (relation?.location ?? 0) - start;
      const definition = afterName(text.subarray(from).toString());
      return { id, schema, name, isPartitioned: partspec !== undefined, definition };
    });
  }

  async schemas(): Promise<readonly { readonly id: number; readonly name: string }[]> {
    return this.each(this.ofKind('SCHEMA'), 'CreateSchemaStmt', ({ stmt: { CreateSchemaStmt }, id }) => ({
      id,
      name: CreateSchemaStmt.schemaname ?? '',
    }));
  }

  /** The foreign keys, whatever table they are of. */
  async foreignKeys(): Promise<readonly ArchivedKey[]> {
    return this.each(this.ofKind('FK CONSTRAINT'), 'AlterTableStmt', ({ stmt: { AlterTableStmt }, id }) => {
      const constraint = constraintOf(AlterTableStmt);
      const referenced = namedBy(constraint?.pktable);
      return { id, name: constraint?.conname ?? '', table: namedBy(AlterTableStmt.relation), referenced };
    });
  }

  /** Which columns these sequences number, and how, where they are those of identity columns. */
  async identities(sequences: readonly Entry[]): Promise<readonly (Named & { column: string; kind: string })[]> {
    const found: (Named & { column: string; kind: string })[] = [];
    for (const { statement } of await this.statements(sequences)) {
      const stmt = statement.stmt;
      if (stmt === undefined || !('AlterTableStmt' in stmt)) continue;
      const [command] = stmt.AlterTableStmt.cmds ?? [];
      const { name, subtype, def } = command !== undefined && 'AlterTableCmd' in command ? command.AlterTableCmd : {};
      if (subtype !== 'AT_AddIdentity' || def === undefined || !('Constraint' in def)) continue;
      const kind = def.Constraint.generated_when ?? '';
      found.push({ ...namedBy(stmt.AlterTableStmt.relation), column: name ?? '', kind });
    }
    return found;
  }

  /** The statements of `setval`, as calls: sequence, value, and whether it has been given already. */
  async positions(entries: readonly Entry[]): Promise<readonly SequencePosition[]> {
    const found: SequencePosition[] = [];
    for (const { statement } of await this.statements(entries)) {
      const args = setvalArguments(statement);
      if (args !== null) found.push(args);
    }
    return found;
  }

  /** What restores these, as SQL without settings of limits: they are the caller's. Rows are no part of it. */
  async sqlOf(entries: readonly Entry[]): Promise<string> {
    if (entries.length === 0) return '';
    const { stdout } = await this.restore(entries, {});
    return withoutLimits(stdout);
  }

  /** Writes what restores the rows of `entries`, table after table, into `stdout`. */
  async writeRows(entries: readonly Entry[], stdout: Writable, signal: AbortSignal): Promise<void> {
    await this.restore(entries, { stdout, signal });
  }

  private async restore(
    entries: readonly Entry[],
    options: { readonly stdout?: Writable; readonly signal?: AbortSignal },
  ): Promise<{ readonly stdout: string }> {
    const { pgRestore, path, settings, signal, args } = this.file;
    const folder = await mkdtemp(join(tmpdir(), 'manage-db-restore-'));
    try {
      const list = join(folder, 'list');
      await writeFile(list, useList(entries));
      return await runClientTool(pgRestore, [`--use-list=${list}`, '--file=-', ...args, path], {
        settings,
        signal,
        ...options,
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** One statement of the kind `tag` for each of `entries`, in their order. */
  private async each<Tag extends StatementTag, T>(
    entries: readonly Entry[],
    tag: Tag,
    read: (
      one: Statement & {
        readonly id: number;
        readonly stmt: Extract<NonNullable<RawStmt['stmt']>, Record<Tag, unknown>>;
      },
    ) => T,
  ): Promise<T[]> {
    const found: T[] = [];
    for (let start = 0; start < entries.length; start += BATCH) {
      const batch = entries.slice(start, start + BATCH);
      const statements = (await this.statements(batch)).flatMap((one) => {
        const { stmt } = one.statement;
        // of the several statements of an entry, only one makes it
        if (stmt === undefined || !(tag in stmt)) return [];
        const made = stmt as Extract<typeof stmt, Record<Tag, unknown>>;
        return tag === 'AlterTableStmt' &&
          constraintOf((made as { AlterTableStmt: AlterTableStmt }).AlterTableStmt) === null
          ? []
          : [{ ...one, stmt: made }];
      });
      if (statements.length !== batch.length) throw this.notUnderstood();
      for (const [index, { id }] of batch.entries()) {
        const statement = statements[index];
        if (statement !== undefined) found.push(read({ ...statement, id }));
      }
    }
    return found;
  }

  private async statements(entries: readonly Entry[]): Promise<readonly Statement[]> {
    if (entries.length === 0) return [];
    const sql = await this.sqlOf(entries);
    const outcome = await parseTree(sql);
    if (outcome.kind === 'too much' && entries.length > 1) {
      const half = Math.ceil(entries.length / 2);
      return [...(await this.statements(entries.slice(0, half))), ...(await this.statements(entries.slice(half)))];
    }
    if (outcome.kind !== 'tree') throw this.notUnderstood();
    const bytes = Buffer.from(sql);
    return outcome.statements.map((statement) => {
      const { stmt_location: start = 0, stmt_len } = statement;
      const end = stmt_len === undefined ? bytes.length : start + stmt_len;
      return { statement, start, text: bytes.subarray(start, end) };
    });
  }

  private notUnderstood(): ManageDbError {
    return new ManageDbError('BACKUP_INVALID', `What the archive of ${this.file.backup} makes cannot be read as SQL.`, {
      hint: 'Restore the whole backup: leave out --in-place.',
    });
  }
}

/** Entries whose SQL is read at once. */
const BATCH = 200;

type StatementTag = 'CreateStmt' | 'CreateSchemaStmt' | 'AlterTableStmt';

interface Statement {
  readonly statement: RawStmt;
  /** In bytes. */
  readonly start: number;
  readonly text: Buffer;
}

export interface SequencePosition {
  /** As SQL writes it, with its schema. */
  readonly sequence: string;
  readonly value: string;
  readonly isCalled: boolean;
}

function namedBy(relation: RangeVar | undefined): Named {
  return { schema: relation?.schemaname ?? '', name: relation?.relname ?? '' };
}

function constraintOf({ cmds = [] }: AlterTableStmt): Constraint | null {
  for (const command of cmds) {
    const def = 'AlterTableCmd' in command ? command.AlterTableCmd.def : undefined;
    if (def !== undefined && 'Constraint' in def && def.Constraint.contype === 'CONSTR_FOREIGN') return def.Constraint;
  }
  return null;
}

/** What follows `schema.name`, with which `text` begins. */
function afterName(text: string): string {
  const part = /^(?:"(?:[^"]|"")*"|[^".\s(]+)/;
  const schema = part.exec(text)?.[0] ?? '';
  const name = part.exec(text.slice(schema.length + 1))?.[0] ?? '';
  return text.slice(schema.length + 1 + name.length);
}

/** `select pg_catalog.setval('public.patients_id_seq', 1000, true)` */
function setvalArguments({ stmt }: RawStmt): SequencePosition | null {
  if (stmt === undefined || !('SelectStmt' in stmt)) return null;
  const [target] = stmt.SelectStmt.targetList ?? [];
  const value = target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
  if (value === undefined || !('FuncCall' in value)) return null;
  const { funcname = [], args = [] } = value.FuncCall;
  const last = funcname.at(-1);
  if (last === undefined || !('String' in last) || last.String.sval !== 'setval') return null;
  const [sequence, position, isCalled] = args.map(constant);
  if (sequence === undefined || position === undefined) return null;
  return { sequence, value: position, isCalled: isCalled === 'true' };
}

/** A constant as text; a number with a sign is an expression to the parser. */
function constant(node: unknown): string | undefined {
  const found = node as {
    readonly A_Const?: {
      readonly sval?: { readonly sval?: string };
      readonly ival?: { readonly ival?: number };
      readonly fval?: { readonly fval?: string };
      readonly boolval?: { readonly boolval?: boolean };
    };
    readonly A_Expr?: { readonly rexpr?: unknown };
  };
  if (found.A_Expr !== undefined) return `-${constant(found.A_Expr.rexpr)}`;
  const { sval, ival, fval, boolval } = found.A_Const ?? {};
  if (sval !== undefined) return sval.sval ?? '';
  if (ival !== undefined) return String(ival.ival ?? 0);
  if (fval !== undefined) return fval.fval;
  return boolval === undefined ? undefined : String(boolval.boolval ?? false);
}

/** The settings that pg_restore begins with, without those that are the transaction's own, and without psql's commands. */
function withoutLimits(sql: string): string {
  const start = sql.search(/^-- (?:Data for )?Name: /m);
  const [head, body] = start === -1 ? [sql, ''] : [sql.slice(0, start), sql.slice(start)];
  const kept = head
    .split('\n')
    .filter((line) => !/^(?:SET \w+_timeout = |SET (?:row_security|client_min_messages) = |\\restrict )/.test(line));
  return `${kept.join('\n')}${body.replace(/\n\\unrestrict \w+\s*$/, '\n')}`;
}

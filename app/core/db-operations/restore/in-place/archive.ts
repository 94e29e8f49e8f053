import type { Writable } from 'node:stream';
import type { AlterTableStmt, RawStmt } from 'libpg-query';
import { runOffline } from '../../../../services/client-tools.js';
import { parseTree } from '../../../../services/sql-script.js';
import { ManageDbError } from '../../../errors.js';
import { type ArchiveToRead, textOfEntries, withoutUnrestrict } from '../../backup/dump/archive-text.js';
import { type Entry, type EntryKind, parseContents } from '../../database-state/contents.js';
import {
  afterName,
  constraintOf,
  type Named,
  namedBy,
  type SequencePosition,
  setvalArguments,
} from './parsed-statements.js';

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

export interface ArchiveFile extends ArchiveToRead {
  /** Of the backup, for messages. */
  readonly backup: string;
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
    /** What rows and names are written in, as PostgreSQL calls it. */
    readonly encoding: string,
  ) {}

  /** @throws ManageDbError `CLIENT_TOOL_FAILED`, `INTERRUPTED` */
  static async open(file: ArchiveFile): Promise<Archive> {
    const { pgRestore, path, environment, signal } = file;
    const { stdout } = await runOffline(pgRestore, ['--list', '--verbose', path], { environment, signal });
    const { stdout: head } = await textOfEntries(file, []);
    const encoding = /^SET client_encoding = '(\w+)';$/m.exec(head)?.[1];
    return new Archive(file, parseContents(stdout), encoding ?? 'an unknown encoding');
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

  /** What restores these, as SQL without settings of limits and of the search_path: they are the caller's. Rows are no part of it. */
  async sqlOf(entries: readonly Entry[]): Promise<string> {
    if (entries.length === 0) return '';
    const { stdout } = await textOfEntries(this.file, entries);
    return withoutLimits(stdout);
  }

  /** Writes what restores the rows of `entries`, table after table, into `stdout`. */
  async writeRows(entries: readonly Entry[], stdout: Writable, signal: AbortSignal): Promise<void> {
    await textOfEntries(this.file, entries, { stdout, signal });
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

/** The settings that pg_restore begins with, without those that are the transaction's own, and without psql's commands. */
function withoutLimits(sql: string): string {
  const start = sql.search(/^-- (?:Data for )?Name: /m);
  const [head, body] = start === -1 ? [sql, ''] : [sql.slice(0, start), sql.slice(start)];
  const kept = head.split('\n').filter((line) => !OF_THE_CALLER.test(line));
  return `${kept.join('\n')}${withoutUnrestrict(body)}`;
}

const OF_THE_CALLER =
  /^(?:SET \w+_timeout = |SET (?:row_security|client_min_messages) = |SELECT pg_catalog\.set_config\('search_path', |\\restrict )/;

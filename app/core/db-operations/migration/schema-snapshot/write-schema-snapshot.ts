import { getWorkspace } from '../../../../config/workspace.js';
import { ManageDbError, messageOf } from '../../../errors.js';
import { readIfThere } from '../../../files.js';
import { writeOwnFile } from '../../../own-file.js';
import type { OperationControls } from '../../../progress.js';
import type { Target } from '../../../safety/gate.js';
import { readDatabaseProperties } from '../../database-state/database-properties.js';
import { withSnapshot } from '../../database-state/snapshot.js';
import { readHistory } from '../history.js';
import { checkSchemaFile, FIRST_LINE } from './check-schema-file.js';
import { schemaStatements } from './schema-statements.js';

export interface SchemaSnapshot {
  readonly path: string;
  /** `false`: the file was like that already, and was not touched. */
  readonly isChanged: boolean;
  /** How many applied migrations it names. */
  readonly migrations: number;
}

/** Milliseconds that a table somebody has locked is waited for. */
const LOCK_TIMEOUT_MS = 60_000;

/**
 * Writes what the database of `target` is defined as into a file to be reviewed and committed, with the migrations that are
 * applied: the same text for the same definitions, whoever made them in whatever order. Loaded into an empty database with psql it
 * makes them, without owners, grants, and the schema manage_db.
 *
 * @throws ManageDbError `USAGE` for a path that {@link checkSchemaFile} refuses, `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`, `LOCK_TIMEOUT`, `UNREADABLE_FILE`, `INTERRUPTED`
 * @example await writeSchemaSnapshot(target, '/srv/clinic/schema.sql');
 */
export async function writeSchemaSnapshot(
  target: Target,
  path: string,
  { signal, onProgress }: OperationControls = {},
): Promise<SchemaSnapshot> {
  checkSchemaFile(path, await getWorkspace());
  onProgress?.({ step: `writing the schema to ${path}` });
  const { settings, database } = target;
  const { text, migrations } = await withSnapshot(
    settings,
    { lockTimeoutMs: LOCK_TIMEOUT_MS, signal },
    async ({ client, id }) => {
      const properties = await readDatabaseProperties(client, database);
      const encoding = properties?.encoding ?? 'UTF8';
      const { applied } = await readHistory(client);
      const statements = await schemaStatements(client, target, {
        ...{ snapshot: id, encoding, lockTimeoutMs: LOCK_TIMEOUT_MS },
        signal: signal ?? new AbortController().signal,
      });
      return {
        text: [...header(encoding), ...statements, ...footer(applied)].join('\n\n'),
        migrations: applied.length,
      };
    },
  );
  return { path, isChanged: write(path, `${text}\n`), migrations };
}

/** What the statements of pg_dump are meant for. */
function header(encoding: string): string[] {
  return [
    FIRST_LINE,
    [
      `set client_encoding = '${encoding === 'SQL_ASCII' ? encoding : 'UTF8'}';`,
      'set standard_conforming_strings = on;',
      'set check_function_bodies = off;',
      'set xmloption = content;',
      "select pg_catalog.set_config('search_path', '', false);",
    ].join('\n'),
  ];
}

/** The table that says so is manage_db's, and is not there where the file is loaded. */
function footer(applied: readonly { readonly version: string; readonly name: string }[]): string[] {
  const lines = applied.map(({ version, name }) => `--   ${version} ${name.replace(/\s+/g, ' ')}`);
  return [[`-- Applied migrations: ${applied.length}`, ...lines].join('\n')];
}

/** Whether it had to be written. */
function write(path: string, text: string): boolean {
  try {
    // Git may have changed the line ends
    if (readIfThere(path)?.replaceAll('\r\n', '\n') === text.replaceAll('\r\n', '\n')) return false;
    writeOwnFile(path, text);
    return true;
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `The schema cannot be written to ${path}: ${messageOf(error)}.`, {
      hint: 'Check that you may write there, or set another schemaFile.',
      cause: error,
    });
  }
}

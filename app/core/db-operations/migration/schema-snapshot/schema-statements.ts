import { tmpdir } from 'node:os';
import { readForeignMaterializedViews } from '../../../../database/catalog/foreign-materialized-views.js';
import type { Queryable } from '../../../../database/queryable.js';
import { findClientTools } from '../../../../services/client-tools.js';
import { withWorkFolder } from '../../../../services/work-folder.js';
import type { Target } from '../../../safety/gate.js';
import { LEFT_AT_HOME } from '../../copy/left-at-home.js';
import { hideSecrets } from '../../copy/schema-update/hide-secrets.js';
import { readDefinitions } from '../../copy/stream/definitions.js';
import { holdsPasswords } from '../../copy/stream/left-out-definitions.js';
import type { Entry } from '../../database-state/contents.js';

interface Reading {
  readonly snapshot: string;
  readonly encoding: string;
  readonly lockTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * What makes the definitions, by pg_dump and in its order: by kind, schema and name, what is needed first. Without whatever it says
 * about itself.
 *
 * @throws ManageDbError `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`, `LOCK_TIMEOUT`, `INTERRUPTED`
 */
export async function schemaStatements(
  client: Queryable,
  { settings, serverMajor }: Target,
  reading: Reading,
): Promise<string[]> {
  const tools = await findClientTools({
    ...(serverMajor === null ? {} : { serverMajor }),
    binDir: settings.pgBinDir,
  });
  const unpopulated = new Set((await readForeignMaterializedViews(client)).map(({ oid }) => oid));
  const { before, after, sql } = await withWorkFolder(tmpdir(), (folder) =>
    readDefinitions({
      ...reading,
      ...{ tools, settings, folder, unpopulated },
      parts: { owners: true, grants: true, tablespaces: true, extensions: LEFT_AT_HOME },
      options: ['--exclude-schema=manage_db'],
      isLeftOut: (entry) => holdsPasswords(entry) || isNoDefinition(entry),
    }),
  );
  return withAccessMethods([...before, ...after].map(({ id }) => sql.get(id) ?? ''));
}

/** Rows, and what an extension says about itself: another version says something else. */
function isNoDefinition({ kind, said }: Entry): boolean {
  return kind === 'MATERIALIZED VIEW DATA' || (kind === 'COMMENT' && said.startsWith('- EXTENSION '));
}

/** What pg_dump writes above each: only a method that is not the usual one matters. */
function withAccessMethods(pieces: readonly string[]): string[] {
  let method = 'heap';
  return pieces.flatMap((piece) => {
    const [head = ''] = HEAD.exec(piece) ?? [];
    const statement = piece.slice(head.length).replace(TAIL, '').trim();
    if (statement === '') return [];
    const wanted = /^SET default_table_access_method = (.*);$/m.exec(head)?.[1] ?? 'heap';
    const isOther = wanted !== method && /^CREATE (?:UNLOGGED )?(?:TABLE|MATERIALIZED VIEW) /.test(statement);
    if (!isOther) return [hideSecrets(statement)];
    method = wanted;
    return [`set default_table_access_method = ${wanted};`, hideSecrets(statement)];
  });
}

/** Settings, comments and empty lines before the first statement. */
const HEAD = /^(?:(?:--.*|SET default_\w+ = .*;|\s*)\n)*/;

/** What the last one ends with. */
const TAIL = /(?:\n+-- Completed on .*)?(?:\n+--\n-- PostgreSQL database dump complete\n--)?\s*$/;

import { escapeIdentifier } from 'pg';
import { OF_CONTENTS, ownTables } from '../../../../database/records/own-tables.js';
import { ManageDbError } from '../../../errors.js';
import { type Entry, type EntryKind, parseContents, useList } from '../../database-state/contents.js';
import type { Manifest } from '../../manifest/manifest.js';

export interface RestoredContents {
  /** For `pg_restore --use-list`. */
  readonly list: string;
  /** Gives the schemas that stay to whom they belonged. */
  readonly owners: readonly string[];
}

/**
 * What is restored of an archive: everything but manage_db's own records, which are those of the live database, and what is
 * kept in it.
 *
 * @param contents as `pg_restore --list` writes them
 * @throws ManageDbError `USAGE` for schemas that cannot be told from that of manage_db
 */
export function restoredContents(
  contents: string,
  manifest: Manifest,
  keptSchemas: readonly string[],
): RestoredContents {
  const entries = parseContents(contents);
  refuseLookalikes(entries, manifest);
  const owners = entries.flatMap(({ kind, said }) => {
    const name = kind === 'SCHEMA' ? keptSchemas.find((one) => said.startsWith(`- ${one} `)) : undefined;
    if (name === undefined || name === 'manage_db') return [];
    return [`alter schema ${escapeIdentifier(name)} owner to ${escapeIdentifier(said.slice(`- ${name} `.length))}`];
  });
  return { list: useList(entries.filter((entry) => isRestored(entry, keptSchemas))), owners };
}

/** In the table of contents nothing separates a name from what follows it: theirs would be taken for ours, and left out. */
function refuseLookalikes(entries: readonly Entry[], { tables }: Manifest): void {
  const schemas = entries.filter(({ kind, said }) => kind === 'SCHEMA' && said.startsWith('- manage_db '));
  const ours = tables.some(({ schema }) => schema === 'manage_db') ? 1 : 0;
  if (schemas.length <= ours) return;
  throw new ManageDbError('USAGE', 'A schema has a name that begins with "manage_db ": it cannot be restored inside.', {
    hint: 'Rename the schema and back up again, or restore by --method swap.',
  });
}

function isRestored({ kind, said }: Entry, keptSchemas: readonly string[]): boolean {
  const isNamed = (...names: readonly string[]) => names.some((name) => said.startsWith(`${name} `));
  if (isNamed('manage_db')) {
    return kind === 'TABLE DATA' && isNamed(...ownTables(...OF_CONTENTS).map((table) => `manage_db ${table}`));
  }
  if (kind === 'SCHEMA') return !isNamed(...['manage_db', ...keptSchemas].map((name) => `- ${name}`));
  if (REMARKS.includes(kind)) return !isNamed('- SCHEMA manage_db', '- SUBSCRIPTION', '- EXTENSION');
  return kind !== 'SUBSCRIPTION' && kind !== 'SUBSCRIPTION TABLE';
}

/** What they are about is said before its name. */
const REMARKS: readonly EntryKind[] = ['COMMENT', 'ACL', 'SECURITY LABEL'];

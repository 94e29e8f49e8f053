import { readSqlFile, scanLiterals } from '../../../../../services/sql-script.js';
import { basePack } from '../../../../triggers/base-pack.js';
import { securityPack } from '../../../../triggers/security-pack.js';
import { securityPolicy } from '../../../../triggers/security-policy.js';

/**
 * Bodies and comments of the functions that come with manage_db, which are the same in every installation: whatever says the
 * same, word by word, says nothing about anybody.
 */
export async function readShippedTexts(): Promise<ReadonlySet<string>> {
  const files = [basePack(), securityPack(securityPolicy({}))].flatMap(({ functionFiles }) => functionFiles);
  const literals = await Promise.all(files.map((path) => scanLiterals(readSqlFile(path))));
  return new Set(literals.flatMap((found) => found ?? []).flatMap(({ kind, value }) => (kind === 'text' ? value : [])));
}

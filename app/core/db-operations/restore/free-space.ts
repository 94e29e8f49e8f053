import { open, statfs } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { Queryable } from '../../../database/queryable.js';

/** Bytes; `'unknown'` where it cannot be seen from here, which is no statement that there is enough. */
export type FreeSpace = number | 'unknown';

/**
 * The free space where the server of `db` keeps its databases. Known only when that is a folder of this machine: it holds
 * the server's own system identifier, so that a tunnel or a container is not mistaken for it.
 */
export async function readFreeSpace(db: Queryable): Promise<FreeSpace> {
  try {
    const { rows } = await db.query<{ folder: string | null; identifier: string }>(WHERE);
    const { folder = null, identifier = '' } = rows[0] ?? {};
    if (folder === null || !isAbsolute(folder) || (await identifierIn(folder)) !== identifier) return 'unknown';
    const { bavail, bsize } = await statfs(join(folder, 'base'));
    return bavail * bsize;
  } catch {
    return 'unknown';
  }
}

/** The setting is shown only to those who may read all settings; without that the answer is null, not an error. */
const WHERE = `
  select (select s.setting from pg_catalog.pg_settings s where s.name = 'data_directory') as folder,
    c.system_identifier::text as identifier
  from pg_catalog.pg_control_system() c`;

/** The first eight bytes of the control file, in the byte order of the machine: little-endian wherever Node runs. */
async function identifierIn(folder: string): Promise<string> {
  const file = await open(join(folder, 'global', 'pg_control'));
  try {
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 0);
    return buffer.readBigUInt64LE().toString();
  } finally {
    await file.close();
  }
}

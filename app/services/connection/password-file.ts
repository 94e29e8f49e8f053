import { createReadStream, statSync } from 'node:fs';
import helper from 'pgpass/lib/helper.js';
import type { ConnectionSettings, HostAddress } from '../../config/connection-settings.js';
import { registerSecret } from '../../config/redaction.js';

/**
 * The password of `.pgpass` for one host, by libpq's rules (first matching line; a file that others can read is not
 * used). `null` where there is none. The `pgpass` package reads the format.
 */
export async function passwordFromFile(settings: ConnectionSettings, address: HostAddress): Promise<string | null> {
  const file = settings.passfile ?? helper.getFileName({ ...process.env, PGPASSFILE: undefined });
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined || !isPrivateFile(stat.mode)) return null;
  const connection = {
    // libpq looks a Unix socket up under "localhost"
    host: address.host.startsWith('/') ? 'localhost' : address.host,
    port: address.port,
    database: settings.database,
    user: settings.user,
  };
  const password = await new Promise<string | undefined>((resolve) => {
    const stream = createReadStream(file);
    stream.on('error', () => resolve(undefined));
    helper.getPassword(connection, stream, resolve);
  });
  if (password === undefined) return null;
  registerSecret(password, [settings.user, settings.database, address.host]);
  return password;
}

/** libpq ignores a password file that is not a plain file or that group or others may access. */
function isPrivateFile(mode: number): boolean {
  const isRegular = (mode & 0o170_000) === 0o100_000;
  return isRegular && (process.platform === 'win32' || (mode & 0o077) === 0);
}

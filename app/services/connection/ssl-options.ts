import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import type { ConnectionSettings, HostAddress } from '../../config/connection-settings.js';
import { codeOf, ManageDbError, messageOf } from '../../core/errors.js';

/** What `pg` is given as `ssl` for one attempt. */
export type SslAttempt = false | ConnectionOptions;

/**
 * The attempts that libpq would make for one host under `sslmode`, in its order (manual, 34.19.3): `prefer` tries TLS
 * and then plain, `allow` the other way round. Wherever a root certificate is there, TLS is verified against it as under
 * `verify-ca`, also under `require` and weaker (libpq keeps it so for compatibility). A Unix socket never uses TLS.
 *
 * @throws ManageDbError `UNREADABLE_FILE`, `SSL_FAILED` where verification has nothing to verify against
 */
export async function sslAttempts(settings: ConnectionSettings, address: HostAddress): Promise<readonly SslAttempt[]> {
  if (address.host.startsWith('/')) return [false];
  const { mode } = settings.ssl;
  if (mode === 'disable') return [false];
  const encrypted = await tlsOptions(settings, address);
  if (mode === 'allow') return [false, encrypted];
  if (mode === 'prefer') return [encrypted, false];
  return [encrypted];
}

async function tlsOptions(settings: ConnectionSettings, { host }: HostAddress): Promise<ConnectionOptions> {
  const { mode, rootCert, cert, key } = settings.ssl;
  const client = {
    ...(cert === null ? {} : { cert: await readCertificate(cert, 'sslcert') }),
    ...(cert === null || key === null ? {} : { key: await readCertificate(key, 'sslkey') }),
  };
  // libpq 16: sslrootcert=system means the system's authorities and, by itself, verify-full
  if (rootCert === 'system') return { ...client, rejectUnauthorized: true, ...identityOf(host) };
  const isPresent = rootCert !== null && existsSync(rootCert);
  const mustVerify = mode === 'verify-ca' || mode === 'verify-full';
  if (!isPresent && !mustVerify) return { ...client, rejectUnauthorized: false };
  if (!isPresent) {
    throw new ManageDbError(
      'SSL_FAILED',
      `sslmode=${mode} needs a root certificate, and ${rootCert ?? '~/.postgresql/root.crt'} does not exist.`,
      {
        hint: "Set sslrootcert in the URL or PGSSLROOTCERT to the authority's file, or sslrootcert=system.",
      },
    );
  }
  const ca = await readCertificate(rootCert, 'sslrootcert');
  const identity = mode === 'verify-full' ? identityOf(host) : { checkServerIdentity: () => undefined };
  return { ...client, ca, rejectUnauthorized: true, ...identity };
}

/** `pg` gives TLS a socket without the host's name, and Node would then check the certificate against "localhost". */
function identityOf(host: string): Pick<ConnectionOptions, 'checkServerIdentity'> {
  return { checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate) };
}

async function readCertificate(path: string, parameter: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `The file of ${parameter} cannot be read: ${messageOf(error)}.`, {
      hint: codeOf(error) === 'ENOENT' ? `Correct the path ${path}.` : `Check its permissions: ls -l ${path}`,
      cause: error,
    });
  }
}

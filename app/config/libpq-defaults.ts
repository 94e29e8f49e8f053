import { existsSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import type { SslSettings } from './connection-settings.js';

/** libpq's default: the socket folder that the server was built with (Debian's here), else this machine by TCP. */
export function defaultHost(): string {
  return existsSync('/var/run/postgresql') ? '/var/run/postgresql' : 'localhost';
}

/** libpq's default user: the one of the operating system. */
export function operatingSystemUser(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null;
  }
}

/** The certificate files that libpq takes by itself from `~/.postgresql`. */
export function defaultCertificates(): Pick<SslSettings, 'rootCert' | 'cert' | 'key'> {
  const present = (file: string): string | null => {
    const path = join(homedir(), '.postgresql', file);
    return existsSync(path) ? path : null;
  };
  return { rootCert: present('root.crt'), cert: present('postgresql.crt'), key: present('postgresql.key') };
}

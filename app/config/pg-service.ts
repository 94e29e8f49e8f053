import { homedir } from 'node:os';
import { join } from 'node:path';
import { ManageDbError } from '../core/errors.js';
import { readIfThere } from '../core/files.js';

/** The parameters of one section of a service file, by libpq's names (`host`, `dbname`, …). */
export type ServiceParameters = Readonly<Record<string, string>>;

/**
 * Reads a connection service, which the `pg` package does not know: `PGSERVICEFILE` or `~/.pg_service.conf`, then
 * `pg_service.conf` in `PGSYSCONFDIR` or Debian's and the source build's folders (manual, 34.17).
 *
 * @throws ManageDbError `MISSING_SETTING` when no file has the service, `INVALID_CONFIGURATION`, `UNREADABLE_FILE`.
 * @example readService('clinic').host
 */
export function readService(name: string, variables: NodeJS.ProcessEnv = process.env): ServiceParameters {
  const files = serviceFiles(variables);
  for (const file of files) {
    const text = readIfThere(file);
    const parameters = text === undefined ? null : parseServiceFile(text, name, file);
    if (parameters !== null) return parameters;
  }
  throw new ManageDbError('MISSING_SETTING', `The connection service "${name}" (PGSERVICE) is not defined.`, {
    hint: `Add a [${name}] section to ${files[0]}.`,
    details: { service: name, files },
  });
}

function serviceFiles(variables: NodeJS.ProcessEnv): readonly string[] {
  return [
    variables.PGSERVICEFILE ?? join(homedir(), '.pg_service.conf'),
    ...(variables.PGSYSCONFDIR
      ? [join(variables.PGSYSCONFDIR, 'pg_service.conf')]
      : ['/etc/postgresql-common/pg_service.conf', '/etc/pg_service.conf', '/usr/local/etc/pg_service.conf']),
  ];
}

function parseServiceFile(text: string, name: string, file: string): ServiceParameters | null {
  let found: Record<string, string> | null = null;
  for (const [index, rawLine] of text.split(/\r?\n/).entries()) {
    const line = rawLine.trim();
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('[')) {
      if (found !== null) break;
      if (line === `[${name}]`) found = {};
      continue;
    }
    if (found === null) continue;
    const equals = line.indexOf('=');
    if (equals < 1 || line.startsWith('ldap')) {
      throw new ManageDbError('INVALID_CONFIGURATION', `${file}:${index + 1} is not a "parameter=value" line.`, {
        hint: `Correct the section [${name}]; LDAP look-ups are not supported.`,
      });
    }
    found[line.slice(0, equals).trim()] = line.slice(equals + 1).trim();
  }
  return found;
}

import { createRequire } from 'node:module';
import { dirname, isAbsolute } from 'node:path';
import type { ConnectionOptions, DumpOptionsType, FormatEnum } from 'pg-dump-restore';
import type { ConnectionSettings } from '../../config/connection-settings.js';
import { ManageDbError } from '../../core/errors.js';
import { runInEnvironment } from './run-client-tool.js';
import { withToolEnvironment } from './tool-environment.js';

export interface SingleFileDump {
  readonly settings: ConnectionSettings;
  /** Absolute. */
  readonly filePath: string;
  readonly format: 'plain' | 'custom';
  /** Further options of `pg-dump-restore`. */
  readonly options: Omit<DumpOptionsType, 'filePath' | 'format' | 'verbose'>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * `pg-dump-restore` takes neither an environment, nor a program, nor a signal, and always inherits ours. So it runs in
 * a Node process of its own whose environment is the tools': PATH begins with the chosen version's folder, and what it
 * creates is readable by nobody else.
 */
const CHILD = `
process.umask(0o077);
const [library, connection, dump] = process.argv.slice(1);
require(library).pgDump(JSON.parse(connection), JSON.parse(dump)).catch((error) => {
  process.stderr.write(String(error.stderr || error.message) + '\\n');
  process.exitCode = error.exitCode || 1;
});
`;

/**
 * Dumps into one file with the package `pg-dump-restore`, which builds the arguments.
 *
 * It gets an empty password (it would put one into argv) and names that are percent-encoded already (it pastes them
 * into a URI as they are). It cannot say `--no-password`: call it where a connection with the same settings is open,
 * which shows that nothing will be asked.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED`, `INTERRUPTED`
 */
export async function dumpSingleFile(pgDump: string, { settings, signal, ...dump }: SingleFileDump): Promise<void> {
  if (!isAbsolute(dump.filePath)) throw new ManageDbError('USAGE', `${dump.filePath} is not an absolute path.`);
  const format = dump.format as FormatEnum;
  const options: DumpOptionsType = { ...dump.options, filePath: dump.filePath, format };
  const library = createRequire(import.meta.url).resolve('pg-dump-restore');
  const args = ['--eval', CHILD, library, JSON.stringify(connection(settings)), JSON.stringify(options)];
  await withToolEnvironment(settings, {}, (env) => {
    const path = [dirname(pgDump), env.PATH].filter((entry) => entry !== undefined).join(':');
    return runInEnvironment(process.execPath, args, {
      name: 'pg_dump',
      settings,
      signal,
      env: { ...env, PATH: path },
    });
  });
}

function connection(settings: ConnectionSettings): ConnectionOptions {
  const { host = '', port = 0 } = settings.hosts[0] ?? {};
  return {
    host: encodedHost(host),
    port,
    username: encodeURIComponent(settings.user),
    database: encodeURIComponent(settings.database),
    password: '',
  };
}

/** The package recognises a socket folder by its first `/`; an IPv6 address needs brackets in a URI. */
function encodedHost(host: string): string {
  if (host.startsWith('/')) return `/${encodeURIComponent(host.slice(1))}`;
  return host.includes(':') ? `[${host}]` : encodeURIComponent(host);
}

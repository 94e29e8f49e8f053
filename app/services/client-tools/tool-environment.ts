import type { ConnectionSettings } from '../../config/connection-settings.js';
import { ManageDbError } from '../../core/errors.js';
import { PIN_SESSION } from '../catalog-path.js';
import { openConnection, SINGLE_CLIENT } from '../connection/open-connection.js';
import { neutralOptions } from '../neutral-settings.js';
import { withPassfile } from './passfile.js';

/** What a program of ours may see of our environment. PGHOSTADDR, PGSERVICE or PGOPTIONS would send it elsewhere: not on the list. */
export const PASSED_ON = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'TZ',
  'TMPDIR',
  'SYSTEMROOT',
  'LD_LIBRARY_PATH',
] as const;

/** The tools' shortest connect timeout: libpq takes 1 for 2. */
const SHORTEST_TIMEOUT_S = 2;

/**
 * Runs `work` with the complete environment of a tool that works on `settings.hosts[0]`; nothing else of ours reaches
 * it. The password is not in it but in a file that is gone when `work` has ended; without a password the user's own
 * password file counts, as it does for every other connection.
 */
export function withToolEnvironment<T>(
  settings: ConnectionSettings,
  { database = settings.database }: { database?: string | undefined },
  work: (env: Record<string, string>) => Promise<T>,
): Promise<T> {
  const run = async (passfile: string | null) =>
    work(toolEnvironment(settings, { database, passfile, options: await optionsFor(settings, database) }));
  return settings.password === null ? run(settings.passfile) : withPassfile(settings.password, run);
}

/**
 * What is set for every session of the database is put back to its defaults; our own options, which come last, win. Where no
 * session can be had, the tool will say why better.
 */
async function optionsFor(settings: ConnectionSettings, database: string): Promise<string | null> {
  const own = settings.options === null ? [] : [settings.options];
  const neutral = await withoutSettings(settings, database);
  return [...neutral, ...own].join(' ') || null;
}

async function withoutSettings(settings: ConnectionSettings, database: string): Promise<string[]> {
  const connection = { ...settings, hosts: settings.hosts.slice(0, 1), database, targetSessionAttrs: 'any' } as const;
  const opened = await openConnection(connection, SINGLE_CLIENT).catch(() => null);
  if (opened === null) return [];
  const { client } = opened;
  try {
    await client.query(PIN_SESSION);
    return await neutralOptions(client);
  } finally {
    await client.end();
  }
}

interface ToolConnection {
  readonly database: string;
  readonly passfile: string | null;
  readonly options: string | null;
}

function toolEnvironment(
  settings: ConnectionSettings,
  { database, passfile, options }: ToolConnection,
): Record<string, string> {
  const { ssl } = settings;
  const address = settings.hosts[0];
  if (address === undefined)
    throw new ManageDbError('INVALID_CONFIGURATION', `${settings.environment} has no database host.`);
  return withoutEmpty({
    ...ownEnvironment(),
    PGHOST: address.host,
    PGPORT: String(address.port),
    PGUSER: settings.user,
    PGDATABASE: database,
    PGPASSFILE: passfile,
    PGSSLMODE: ssl.mode,
    PGSSLROOTCERT: ssl.rootCert,
    PGSSLCERT: ssl.cert,
    PGSSLKEY: ssl.key,
    // `pg` cannot do GSSAPI: the tools connect the way the rest of the program does
    PGGSSENCMODE: 'disable',
    PGCONNECT_TIMEOUT: String(Math.max(SHORTEST_TIMEOUT_S, Math.ceil(settings.connectTimeoutMs / 1000))),
    PGAPPNAME: settings.applicationName,
    // what we write for them to execute; what they dump is told by --encoding
    PGCLIENTENCODING: 'UTF8',
    PGOPTIONS: options,
  });
}

/** The environment of a tool that connects to nothing. */
export function offlineEnvironment(): Record<string, string> {
  return withoutEmpty(ownEnvironment());
}

function ownEnvironment(): Record<string, string | null | undefined> {
  const locale = Object.entries(process.env).filter(([name]) => name.startsWith('LC_') && name !== 'LC_ALL');
  return {
    ...Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]])),
    ...Object.fromEntries(locale),
    // LC_ALL would win over LC_MESSAGES; their messages are read by program, so they come in English
    LC_CTYPE: process.env.LC_ALL || process.env.LC_CTYPE,
    LC_MESSAGES: 'C',
  };
}

function withoutEmpty(values: Record<string, string | null | undefined>): Record<string, string> {
  const entries = Object.entries(values).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && entry[1] !== '',
  );
  return Object.fromEntries(entries);
}

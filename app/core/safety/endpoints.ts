import { lookup } from 'node:dns/promises';
import type { ConnectionSettings, HostAddress } from '../../config/connection-settings.js';
import { describeConfig } from '../../config/db-config.js';
import { workspaceEnvironments } from '../../config/workspace-environments.js';
import { workspaceRoot } from '../workspace-root.js';

/**
 * The protected environment, other than `environment`, whose settings lead to the database of `settings`; `null` where
 * there is none. A whole URL that only a secret manager's command knows is not asked for: it may want a fingerprint of a
 * person. The stamp is there for that case.
 */
export async function protectedEnvironmentAt(
  environment: string,
  settings: Pick<ConnectionSettings, 'hosts' | 'database'>,
): Promise<string | null> {
  for (const other of await workspaceEnvironments(workspaceRoot())) {
    if (other === environment) continue;
    const connection = await connectionOfProtected(other);
    if (connection === null || connection.database !== settings.database) continue;
    if (await haveCommonHost(settings.hosts, connection.hosts)) return other;
  }
  return null;
}

/** What may not be read here (a file of production's, in a developer's workspace) leads nowhere from here either. */
async function connectionOfProtected(environment: string): Promise<ConnectionSettings | null> {
  try {
    const { security, connection } = await describeConfig(environment, { mayRunCommands: false });
    return security.protected ? connection : null;
  } catch {
    return null;
  }
}

async function haveCommonHost(ours: readonly HostAddress[], theirs: readonly HostAddress[]): Promise<boolean> {
  for (const a of ours)
    for (const b of theirs) if (a.port === b.port && (await isSameHost(a.host, b.host))) return true;
  return false;
}

/** By name, else by the addresses that the names have. */
async function isSameHost(a: string, b: string): Promise<boolean> {
  if (a.toLowerCase() === b.toLowerCase()) return true;
  // a folder of Unix sockets has no address
  if (a.startsWith('/') || b.startsWith('/')) return isLocal(a) && isLocal(b);
  const [ours, theirs] = await Promise.all([addressesOf(a), addressesOf(b)]);
  return ours.some((address) => theirs.includes(address)) || (ours.some(isLocal) && theirs.some(isLocal));
}

async function addressesOf(host: string): Promise<readonly string[]> {
  return lookup(host, { all: true }).then(
    (found) => found.map(({ address }) => address),
    () => [],
  );
}

function isLocal(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127\./.test(host);
}

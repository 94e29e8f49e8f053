import { readFileSync } from 'node:fs';

const PGDG_APT =
  'apt-get install -y postgresql-common && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && apt-get install -y';

/**
 * The command that installs client tools of `major` (or the system's own version) on this machine.
 *
 * @example installCommand(15) // 'sudo apt-get install -y postgresql-client-15  (…)'
 */
export function installCommand(major?: number, system: { platform?: string; osRelease?: string } = {}): string {
  const { platform = process.platform, osRelease = readOsRelease() } = system;
  if (platform === 'darwin') return major === undefined ? 'brew install libpq' : `brew install postgresql@${major}`;
  const command = linuxCommand(distributions(osRelease), major);
  if (command === null) return 'see https://www.postgresql.org/download/ for your system';
  return process.getuid?.() === 0 ? command : sudo(command);
}

function linuxCommand(names: readonly string[], major: number | undefined): string | null {
  const is = (...known: string[]) => names.some((name) => known.includes(name));
  if (is('debian', 'ubuntu')) {
    if (major === undefined) return 'apt-get install -y postgresql-client';
    const name = `postgresql-client-${major}`;
    return `apt-get install -y ${name}  (where apt does not know it: ${PGDG_APT} ${name})`;
  }
  if (is('alpine')) return `apk add postgresql${major ?? ''}-client`;
  if (is('fedora', 'rhel', 'centos')) {
    if (major === undefined) return 'dnf install -y postgresql';
    return `dnf install -y postgresql${major}  (from the repository of https://www.postgresql.org/download/linux/redhat/)`;
  }
  if (is('arch')) return 'pacman -S --noconfirm postgresql-libs';
  if (is('suse', 'opensuse')) return `zypper install -y postgresql${major ?? ''}`;
  return null;
}

function sudo(command: string): string {
  return command.replace(/(^|\(where apt does not know it: |&& )(?=\S)/g, '$1sudo ');
}

function distributions(osRelease: string): string[] {
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(osRelease)?.[1]?.replace(/["']/g, '') ?? '';
  return `${value('ID')} ${value('ID_LIKE')}`.split(/\s+/).filter((name) => name !== '');
}

function readOsRelease(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8');
  } catch {
    return '';
  }
}

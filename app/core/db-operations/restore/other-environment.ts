import { describeConfig } from '../../../config/db-config.js';
import { stampStatement } from '../../../database/records/identity.js';
import { ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';
import { replacedStamp } from '../../safety/write-stamp.js';
import type { Manifest } from '../manifest/manifest.js';

/** The environment that a backup is of. */
export interface Source {
  readonly environment: string;
  readonly isProtected: boolean;
  /** Whether changes of it need the override of the kill switch. */
  readonly killSwitch: boolean;
}

/** As protected as the environment is declared, or as the database was stamped when it was backed up. */
export async function sourceOf({ environment, stamp }: Manifest): Promise<Source> {
  const { security, killSwitch } = await describeConfig(environment);
  return {
    environment,
    isProtected: security.protected || stamp?.protected === true,
    killSwitch: killSwitch.isOn,
  };
}

export interface Bringing {
  readonly target: Target;
  /** Somebody has agreed, with the whole ceremony, that it comes as it is. */
  readonly isUnmasked: boolean;
}

/**
 * What a protected environment holds must not come to lie in an open one by accident; and where a protected one is
 * missing, only its own backup says that it is the database which is missed.
 *
 * @throws ManageDbError `PROTECTED_ENVIRONMENT`
 */
export function refuseStrange(source: Source, { target, isUnmasked }: Bringing): void {
  const { environment, isProtected, exists } = target;
  if (source.environment === environment) return;
  if (source.isProtected && !isProtected && !isUnmasked) {
    throw new ManageDbError(
      'PROTECTED_ENVIRONMENT',
      `A backup of ${source.environment}, which is protected, is not restored to ${environment}, which is not; nothing was changed.`,
      {
        hint: 'What is in an archive cannot be masked. If it is meant as it is: the same again with --unmasked, which wants the whole ceremony.',
      },
    );
  }
  if (exists || !isProtected) return;
  throw new ManageDbError(
    'PROTECTED_ENVIRONMENT',
    `${environment} is missing, and a backup of ${source.environment} is not what it was; nothing was changed.`,
    { hint: `Choose a backup of ${environment}: manage_db list-all-backups` },
  );
}

/** What the target has become by what came to it. */
export function readBecameProtected(source: Source, { environment, database, isProtected }: Target): string[] {
  if (!source.isProtected || isProtected || source.environment === environment) return [];
  return [
    `${database} of ${environment} holds what ${source.environment} holds, and counts as protected from now on; stamp-database can say otherwise when it has been cleaned.`,
  ];
}

export interface Raising {
  readonly target: Target;
  readonly source: Source;
  readonly reason: string | null;
}

/**
 * The statement that stamps the target as strictly as the environment whose contents come into it, in the transaction in
 * which they come; `null`: it is as strict already.
 */
export async function raisedStamp({ target, source, reason }: Raising): Promise<string | null> {
  if (source.environment === target.environment) return null;
  const raised = await replacedStamp(target, { source, reason });
  const live = target.stamp?.says;
  if (live?.protected === raised.protected && live.killSwitch === raised.killSwitch) return null;
  return stampStatement(raised);
}

/** Whether the backup comes from another place, which need not have what this one has. */
export function isFromElsewhere(manifest: Manifest, { environment, host, port, serverVersion }: Target): boolean {
  return (
    manifest.environment !== environment ||
    manifest.host !== host ||
    manifest.port !== port ||
    manifest.serverVersion !== serverVersion
  );
}

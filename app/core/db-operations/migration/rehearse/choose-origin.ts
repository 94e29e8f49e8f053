import type { Client } from 'pg';
import { readTemplateSource } from '../../../../database/catalog/template-source.js';
import { codeOf, ManageDbError, messageOf } from '../../../errors.js';
import type { Target } from '../../../safety/gate.js';
import { findBackup } from '../../backup/repository/choose-backup.js';
import type { BackupRepository } from '../../backup/repository/repository.js';
import type { BackupSummary } from '../../backup/repository/summary.js';
import { obstaclesOf } from '../../copy/strategy.js';
import { sessionsOf, sessionWords } from '../../database-state/sessions.js';
import { isWhole, type Manifest } from '../../manifest/manifest.js';
import { ownSessionsEnded } from '../../restore/put-in-place.js';
import { REHEARSAL_ORIGINS, type RehearsalOrigin } from './report.js';

/** @throws ManageDbError `USAGE` */
export function checkedOrigin(wanted: string | undefined): RehearsalOrigin | undefined {
  const known = REHEARSAL_ORIGINS.find((origin) => origin === wanted);
  if (wanted === undefined || known !== undefined) return known;
  throw new ManageDbError('USAGE', `A rehearsal is made from ${REHEARSAL_ORIGINS.join(', ')}, not from ${wanted}.`, {
    hint: 'Leave --rehearse-from out: then the best one that is possible is taken.',
  });
}

/** What keeps the server from copying the database by itself. It is shut while that runs: only an open and idle one is copied so. */
export async function templateObstacles(maintenance: Client, target: Target): Promise<readonly string[]> {
  const { database, isProtected } = target;
  await ownSessionsEnded(target);
  const { mayUse, login, preparedTransactions } = await readTemplateSource(maintenance, database);
  const users = (await sessionsOf(maintenance, database)).map(sessionWords);
  return obstaclesOf({
    ...{ isSameServer: true, isSourceProtected: isProtected },
    ...{ mayUse, login, preparedTransactions, users },
  }).map((obstacle) => obstacle.replace('the source', 'the database'));
}

export interface UsableBackup {
  readonly backup: BackupSummary;
  readonly manifest: Manifest;
}

/** What a backup must fit. */
export interface Live {
  readonly target: Target;
  /** The newest migration that is applied. */
  readonly head: string | null;
}

/** The latest backup, or why it cannot stand for the database. */
export async function latestBackup(
  repository: BackupRepository,
  { target, head }: Live,
): Promise<UsableBackup | { readonly obstacle: string }> {
  try {
    const found = await findBackup(repository, target.environment, 'latest');
    const obstacle = obstacleOf(found.manifest, { target, head });
    return obstacle === null ? found : { obstacle: `the latest backup, ${found.manifest.id}, ${obstacle}` };
  } catch (error) {
    if (!['NOT_FOUND', 'BACKUP_INVALID'].includes(codeOf(error) ?? '')) throw error;
    return { obstacle: withoutStop(messageOf(error)) };
  }
}

function obstacleOf(manifest: Manifest, { target, head }: Live): string | null {
  const { database, migrationHead, serverMajor } = manifest;
  if (!isWhole(manifest)) return 'is only a part of the database';
  if (database !== target.database) return `is of another database, ${database}`;
  if (serverMajor > (target.serverMajor ?? serverMajor)) return 'is of a newer server';
  if (migrationHead === head) return null;
  return `was made when ${migrationHead ?? 'no migration'} was the newest one applied, and now it is ${head ?? 'none'}`;
}

export function withoutStop(sentence: string): string {
  const [line = ''] = sentence.split('\n');
  const text = line.replace(/\.$/, '');
  return text.charAt(0).toLowerCase() + text.slice(1);
}

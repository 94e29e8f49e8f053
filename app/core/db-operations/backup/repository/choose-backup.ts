import { ManageDbError } from '../../../errors.js';
import { listed } from '../../../listed.js';
import type { Manifest } from '../../manifest/manifest.js';
import { type BackupPlace, backupCommand } from '../backup-command.js';
import { isSafetyLabel } from '../safety-label.js';
import type { BackupRepository } from './repository.js';
import { type BackupSummary, newestFirst } from './summary.js';

const MOST_SHOWN = 10;

/**
 * The backup of `environment` in `repository` that `id` means: an id, the beginning of exactly one, or `latest`, the newest
 * complete one. Only what is in the list can be found, so no id leads anywhere else.
 *
 * @throws ManageDbError `NOT_FOUND` with what there is, `USAGE` for an ambiguous one, `BACKUP_INVALID`
 */
export async function findBackup(
  repository: BackupRepository,
  environment: string,
  id: string,
): Promise<{ backup: BackupSummary; manifest: Manifest }> {
  const backup = await chooseBackup(repository, environment, id);
  if (backup.state === 'incomplete') {
    throw new ManageDbError(
      'BACKUP_INVALID',
      `Backup ${backup.id} of ${environment} is incomplete: it was never finished.`,
      {
        hint: `Choose another one: ${backupCommand('list-all-backups', { environment, storage: repository.asked })}`,
      },
    );
  }
  return { backup, manifest: (await repository.manifestOf(backup)).manifest };
}

/**
 * As {@link findBackup}, also one that is damaged or incomplete. `latest` is the newest complete one, or with
 * `latestFinished` the newest that was ever finished: who asks whether backups are good must not be shown an older one.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE`
 */
export async function chooseBackup(
  repository: BackupRepository,
  environment: string,
  id: string,
  { latestFinished = false }: { readonly latestFinished?: boolean } = {},
): Promise<BackupSummary> {
  const backups = (await repository.backupsOf(environment)).sort(newestFirst);
  const newest = latestFinished
    ? backups.find(({ state, label }) => state !== 'incomplete' && !isSafetyLabel(label))
    : undefined;
  if (id === 'latest' && newest !== undefined) return newest;
  return choose(backups, { environment, storage: repository.asked }, id);
}

function choose(backups: readonly BackupSummary[], place: BackupPlace, id: string): BackupSummary {
  const { environment } = place;
  const complete = backups.filter(({ state, label }) => state === 'complete' && !isSafetyLabel(label));
  const matches = id === '' ? [] : backups.filter((backup) => backup.id.startsWith(id));
  const [first, second] = matches;
  const found = id === 'latest' ? complete[0] : (backups.find((backup) => backup.id === id) ?? first);
  const ids = complete.map((backup) => backup.id);
  if (found === undefined) {
    const safety = backups.find(({ state, label }) => state === 'complete' && isSafetyLabel(label));
    const none =
      safety === undefined
        ? `${environment} has no complete backups.`
        : `${environment} has safety backups only, which are taken by their names; the newest is ${safety.id}.`;
    const there = ids.length === 0 ? none : `There are: ${listed(ids, MOST_SHOWN)}.`;
    const wanted = id === 'latest' ? 'No backup' : `No backup ${JSON.stringify(id)}`;
    throw new ManageDbError('NOT_FOUND', `${wanted} of ${environment} was found. ${there}`, {
      hint:
        ids.length === 0 && safety === undefined
          ? `Make one: ${backupCommand('create-backup', place)}`
          : `Show all: ${backupCommand('list-all-backups', place)}`,
      details: { id, environment, backups: ids },
    });
  }
  if (id !== 'latest' && found.id !== id && second !== undefined) {
    const meant = matches.map((backup) => backup.id);
    throw new ManageDbError(
      'USAGE',
      `${id} is the beginning of several backups of ${environment}: ${listed(meant, MOST_SHOWN)}.`,
      {
        hint: 'Give more of the id.',
        details: { id, environment, backups: meant },
      },
    );
  }
  return found;
}

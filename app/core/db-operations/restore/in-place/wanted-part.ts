import { ManageDbError } from '../../../errors.js';
import type { Keeping } from '../keeping.js';
import type { RestoreMethod } from '../method.js';
import type { WantedPart } from './choose-tables.js';

interface PartOptions {
  readonly tables?: readonly string[] | undefined;
  readonly schemas?: readonly string[] | undefined;
  readonly inPlace?: boolean | undefined;
  readonly method?: RestoreMethod | undefined;
  readonly keepPrevious?: Keeping | undefined;
  readonly disconnectUsers?: boolean | undefined;
}

/**
 * The part of a backup that is to be restored inside the live database; `null`: all of it is.
 *
 * @throws ManageDbError `USAGE` for a part without `inPlace`, and for what makes no sense with it
 */
export function wantedPart(options: PartOptions): WantedPart | null {
  const { tables = [], schemas = [], inPlace = false, method, keepPrevious, disconnectUsers } = options;
  const isPart = tables.length > 0 || schemas.length > 0;
  if (!inPlace && !isPart) return null;
  if (!inPlace) {
    throw refusal(
      '--table and --schema restore inside the live database, which has to be said.',
      'Add --in-place, and know what it gives up: the tables come from one moment and the rest of the database from another; foreign keys are checked anew, other agreements between tables cannot be; triggers do not fire, so no audit log lists the rows (the operation log says what was restored); writers of those tables wait.',
    );
  }
  if (!isPart)
    throw refusal('--in-place restores tables or schemas.', 'Name them: --table schema.name, or --schema name.');
  if ([...tables, ...schemas].some((name) => name.trim() === ''))
    throw refusal('A table or schema has a name.', 'See: manage_db restore-backup --help');
  if (method !== undefined)
    throw refusal('Tables are restored in place in one way only.', 'Leave out --method, or --in-place.');
  if (keepPrevious !== undefined)
    throw refusal(
      'No database is replaced in place, so none can be kept.',
      'Leave out --keep-previous: what is replaced is backed up.',
    );
  if (disconnectUsers === true)
    throw refusal('Sessions stay connected while tables are restored in place.', 'Leave out --disconnect-users.');
  return { tables, schemas };
}

function refusal(message: string, hint: string): ManageDbError {
  return new ManageDbError('USAGE', `${message} Nothing was changed.`, { hint });
}

import { ManageDbError } from '../../../errors.js';
import { versionKey } from '../../../migration-versions.js';
import { nearest } from '../../../nearest.js';
import { nextCommand } from '../../../next-command.js';
import type { Migration } from '../migration-files.js';

export interface ChosenMigrations {
  readonly chosen: readonly Migration[];
  /** Why those, in a sentence. */
  readonly because: string;
}

export interface Choosing {
  /** A version, the beginning of exactly one, or a name. */
  readonly wanted: readonly string[];
  readonly isAll: boolean;
  /** As {@link versionKey} has them. */
  readonly applied: ReadonlySet<string>;
}

/**
 * Which migrations are tested: those that are named, or the pending ones, or all of them where none is pending.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE`
 */
export function chooseMigrations(all: readonly Migration[], { wanted, isAll, applied }: Choosing): ChosenMigrations {
  if (wanted.length > 0) {
    if (isAll) {
      throw new ManageDbError('USAGE', 'All migrations are tested, or some that are named: not both.', {
        hint: 'Leave --all out, or the names.',
      });
    }
    const named = new Set(wanted.map((word) => find(all, word)));
    return { chosen: all.filter((one) => named.has(one)), because: 'They were asked for.' };
  }
  if (isAll) return { chosen: all, because: 'All were asked for.' };
  const pending = all.filter(({ version }) => !applied.has(versionKey(version)));
  if (pending.length > 0 && pending.length < all.length) return { chosen: pending, because: 'They are pending.' };
  return { chosen: all, because: pending.length === 0 ? 'None is pending.' : 'All are pending.' };
}

function find(all: readonly Migration[], word: string): Migration {
  const exact = all.find(({ version, name }) => [version, name, `${version}_${name}`].includes(word));
  if (exact !== undefined) return exact;
  const [first, second] = all.filter(({ version }) => word !== '' && version.startsWith(word));
  if (first !== undefined && second === undefined) return first;
  if (first !== undefined) {
    throw new ManageDbError('USAGE', `${word} is the beginning of several versions.`, { hint: 'Give more of it.' });
  }
  const suggestion = nearest(
    word,
    all.flatMap(({ version, name }) => [version, name]),
  );
  throw new ManageDbError('NOT_FOUND', `There is no migration ${word}.`, {
    hint:
      suggestion === null ? `See what there is: ${nextCommand('show-all-migrations')}` : `Did you mean ${suggestion}?`,
    details: { wanted: word, suggestion },
  });
}

import type { Entry } from '../../database-state/contents.js';
import { naming } from './copy-error.js';
import type { Lane } from './lane.js';

export type MakeEntry = (lane: Lane, entry: Entry) => Promise<void>;

/** Makes entries of an archive of which the SQL is known, each in a transaction of its own, as one text is. */
export function entryMaker(sql: ReadonlyMap<number, string>): MakeEntry {
  return (lane, entry) =>
    naming(`${nameOf(entry)} could not be made`, () =>
      lane.underEitherPath(async () => {
        await lane.target.query(sql.get(entry.id) ?? '');
      }),
    );
}

/** `INDEX public notes_body_idx app` */
export function nameOf({ kind, said }: Entry): string {
  return (kind === 'other' ? said : `${kind} ${said}`).trim();
}

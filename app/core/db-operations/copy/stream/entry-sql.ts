import { type ArchiveToRead, textOfEntries, withoutUnrestrict } from '../../backup/dump/archive-text.js';
import type { Entry } from '../../database-state/contents.js';

/**
 * What makes each of the entries, as SQL that stands for itself, by its id. Settings that pg_restore begins with are the caller's.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED`, `INTERRUPTED`
 */
export async function readEntrySql(
  from: ArchiveToRead,
  entries: readonly Entry[],
): Promise<ReadonlyMap<number, string>> {
  if (entries.length === 0) return new Map();
  if (entries.length > MOST_AT_ONCE) {
    const first = await readEntrySql(from, entries.slice(0, MOST_AT_ONCE));
    return new Map([...first, ...(await readEntrySql(from, entries.slice(MOST_AT_ONCE)))]);
  }
  const found = split(await textOf(from, entries));
  const isComplete =
    found.pieces.length === entries.length && entries.every(({ id }) => found.pieces.some((piece) => piece.id === id));
  if (isComplete) return new Map(found.pieces.map(({ id, sql }) => [id, sql]));
  const [only] = entries;
  if (entries.length === 1 && only !== undefined) return new Map([[only.id, found.text]]);
  // a text among them looks like the beginning of an entry: it is between fewer of them, or stands for itself in the end
  const half = Math.ceil(entries.length / 2);
  const [first, second] = [
    await readEntrySql(from, entries.slice(0, half)),
    await readEntrySql(from, entries.slice(half)),
  ];
  return new Map([...first, ...second]);
}

/** The text of all of them is in memory more than once for a moment. */
const MOST_AT_ONCE = 3000;

async function textOf(from: ArchiveToRead, entries: readonly Entry[]): Promise<string> {
  const { stdout } = await textOfEntries({ ...from, args: ['--verbose', ...from.args] }, entries);
  return withoutUnrestrict(stdout);
}

/** What pg_restore writes before an entry when it is verbose. */
const BEGIN = /^--\n-- TOC entry (\d+) \(class \d+ OID \d+\)\n/gm;

/** What it writes before that, where it is another one than for the entries before, and does not write again for the next. */
const STATE = /^SET (default_tablespace|default_table_access_method) = .*;$/gm;

interface Split {
  readonly pieces: readonly { readonly id: number; readonly sql: string }[];
  /** All of it, as one. */
  readonly text: string;
}

function split(written: string): Split {
  const state = new Map([['default_tablespace', `SET default_tablespace = '';`]]);
  const begins = [...written.matchAll(BEGIN)];
  let gap = written.slice(0, begins[0]?.index ?? written.length);
  const pieces = begins.map(({ 0: begin, 1: id, index }, place) => {
    for (const [statement, name] of gap.matchAll(STATE)) if (name !== undefined) state.set(name, statement);
    const own = written.slice(index + begin.length, begins[place + 1]?.index ?? written.length);
    gap = LAST_LINES.exec(own)?.[0] ?? '';
    return { id: Number(id), sql: [...state.values(), own.slice(0, own.length - gap.length)].join('\n') };
  });
  return { pieces, text: pieces.map(({ sql }) => sql).join('\n') };
}

/** Those that belong to what follows. */
const LAST_LINES = /(?:\n(?:SET default_\w+ = .*;)?)*$/;

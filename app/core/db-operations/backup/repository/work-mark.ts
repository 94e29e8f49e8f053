import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJsonOrNothing } from '../../../../config/parse-json.js';
import { processMark, processSpace } from '../../../../services/embedded/process-mark.js';
import * as z from '../../../schema.js';

/** In a folder that somebody is making or removing: who. */
export const MARK_FILE = '.work.json';

const markSchema = z.object({
  pid: z.int(),
  /** Which run of that pid. */
  run: z.string(),
  /** Which machine or container the pid is one of. */
  space: z.string(),
});

/** `elsewhere`: on another machine, or in another container, where nobody can look. `unknown`: nobody has signed. */
export type Worker = 'running' | 'gone' | 'elsewhere' | 'unknown';

/** The text of the file that says that this process works where it lies; with the process the claim ends, however it dies. */
export function workMark(): string {
  return `${JSON.stringify({ pid: process.pid, run: processMark(process.pid) ?? '', space: processSpace() })}\n`;
}

/** Says that this process works in `folder`. */
export async function markWork(folder: string): Promise<void> {
  await writeFile(join(folder, MARK_FILE), workMark(), { mode: 0o600 });
}

export async function unmarkWork(folder: string): Promise<void> {
  await rm(join(folder, MARK_FILE), { force: true });
}

/** Whether the process that works in `folder` lives. */
export async function workerOf(folder: string): Promise<Worker> {
  return workerIn(await readFile(join(folder, MARK_FILE), 'utf8').catch(() => ''));
}

/** Whether the process that has written the mark `text` lives. */
export function workerIn(text: string): Worker {
  const mark = parseMark(text);
  if (mark === null) return 'unknown';
  if (mark.space !== processSpace()) return 'elsewhere';
  return processMark(mark.pid) === mark.run ? 'running' : 'gone';
}

/**
 * As {@link workerIn}, where several machines write. Two of them may have one name, and what a pid is one of is called the
 * same on each: only that both have been started at the same time says that they are one.
 */
export function workerInShared(text: string): Worker {
  const mark = parseMark(text);
  if (mark === null) return 'unknown';
  return startOf(mark.run) === startOf(processMark(process.pid) ?? '') ? workerIn(text) : 'elsewhere';
}

/** Of a run: which start of its machine it belongs to. */
function startOf(run: string): string {
  return run.includes('/') ? run.slice(0, run.lastIndexOf('/')) : '';
}

function parseMark(text: string): z.infer<typeof markSchema> | null {
  const parsed = markSchema.safeParse(parseJsonOrNothing(text));
  return parsed.success ? parsed.data : null;
}

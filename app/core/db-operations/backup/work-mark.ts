import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { processMark, processSpace } from '../../../services/embedded/process-mark.js';
import * as z from '../../schema.js';

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

/** Says that this process works in `folder`; with the process the claim ends, however it dies. */
export async function markWork(folder: string): Promise<void> {
  const mark = { pid: process.pid, run: processMark(process.pid) ?? '', space: processSpace() };
  await writeFile(join(folder, MARK_FILE), `${JSON.stringify(mark)}\n`, { mode: 0o600 });
}

export async function unmarkWork(folder: string): Promise<void> {
  await rm(join(folder, MARK_FILE), { force: true });
}

/** Whether the process that works in `folder` lives. */
export async function workerOf(folder: string): Promise<Worker> {
  const text = await readFile(join(folder, MARK_FILE), 'utf8').catch(() => '');
  const parsed = markSchema.safeParse(parseJson(text));
  if (!parsed.success) return 'unknown';
  const { pid, run, space } = parsed.data;
  if (space !== processSpace()) return 'elsewhere';
  return processMark(pid) === run ? 'running' : 'gone';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ManageDbError, messageOf } from '../../errors.js';
import { foreignFile, noPlainFile, writeOwnFile } from '../../own-file.js';
import { FIRST_LINE } from './as-mermaid.js';
import type { InspectedDiagram } from './inspected.js';

/**
 * Refuses a path that a diagram must not be written to: through a link, into a folder that is not there, or over a file that is no
 * diagram of ours. Reads only.
 *
 * @param path from the current folder, or absolute; returned as an absolute one
 * @throws ManageDbError `USAGE`
 */
export function checkDiagramFile(path: string): string {
  const wanted = resolve(path);
  const problem = problemOf(wanted);
  if (problem === null) return wanted;
  throw new ManageDbError('USAGE', `The diagram is not written to ${wanted}: ${problem}. Nothing was changed.`, {
    hint: 'Name another file, such as --diagram schema.mmd, or leave the name away to have it on standard output.',
  });
}

function problemOf(wanted: string): string | null {
  const folder = dirname(wanted);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return `there is no folder ${folder}`;
  return noPlainFile(wanted) ?? foreignFile(wanted, FIRST_LINE);
}

/**
 * Writes the diagram: a reader sees the old file or the whole new one.
 *
 * @param path as {@link checkDiagramFile} has returned it
 * @throws ManageDbError `UNREADABLE_FILE`
 */
export function writeDiagram(diagram: InspectedDiagram, path: string): InspectedDiagram {
  try {
    writeOwnFile(path, diagram.mermaid);
    return { ...diagram, path };
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `The diagram cannot be written to ${path}: ${messageOf(error)}.`, {
      hint: 'Check that you may write there, or name another file.',
      cause: error,
    });
  }
}

import type { OperationControls } from '../../../progress.js';

export interface TableProgress {
  readonly onProgress: OperationControls['onProgress'];
  readonly verb: 'dumping' | 'restoring';
  readonly jobs: number;
  readonly total?: number;
}

/** What pg_dump and pg_restore say with `--verbose` when they begin with the rows of a table. */
const BEGUN = /(?:dumping contents of|processing data for) table "(.+)"$/;

/** What they say when a parallel job is done with them; without jobs a table is finished when the next one begins. */
const FINISHED = /finished item \d+ TABLE DATA /;

/** Reads the lines of pg_dump or pg_restore, and reports each table as it is begun with. */
export function tableProgress({ onProgress, verb, jobs, total }: TableProgress): (line: string) => void {
  let begun = 0;
  let finished = 0;
  return (line) => {
    if (FINISHED.test(line)) finished++;
    const table = BEGUN.exec(line)?.[1];
    if (table === undefined) return;
    const done = jobs > 1 ? finished : begun;
    begun++;
    onProgress?.({ step: `${verb} ${table}`, done, ...(total === undefined ? {} : { total }), isDetail: true });
  };
}

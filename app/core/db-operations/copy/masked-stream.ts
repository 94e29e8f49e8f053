import type { Client } from 'pg';
import { readNamelessHistory, writeHistory } from '../../safety/carry-records.js';
import type { CopyMasking } from './masked-copy.js';
import { setMaskingSalt } from './masking/keyed-hash.js';
import { selectionOf } from './masking/plan.js';
import type { StreamCopy } from './stream/stream-copy.js';

/** What is selected, by the plan of what the source is at the moment of the copy: somebody may have altered it since. */
export class MaskedStream {
  private select: ReturnType<typeof selectionOf> | null = null;
  private history: string | null = null;

  constructor(private readonly masking: CopyMasking) {}

  readonly options: Pick<StreamCopy, 'onSnapshot' | 'select' | 'prepareSource' | 'sequences'> = {
    onSnapshot: async (db) => {
      this.select = selectionOf(await this.masking.again(db));
      this.history = await readNamelessHistory(db);
    },
    select: (table) => {
      if (this.select === null) throw new Error('The rows of a masked copy are selected when it is known how.');
      return this.select(table);
    },
    prepareSource: async (client) => {
      if (this.masking.salt !== null) await setMaskingSalt(client, this.masking.salt);
    },
    sequences: 'from-data',
  };

  /** What was applied belongs to the definitions. */
  async finish(contents: Client): Promise<void> {
    if (this.history !== null) await writeHistory(contents, this.history);
  }
}

import type { TableName } from '../../../../database/catalog/rows-at-stake.js';

/** Something that somebody has to know about a statement before it is executed. */
export interface StatementRisk {
  /** `loss`: rows or values are gone; `failure`: it may fail, and so all of it; `rewrite`: a table is written anew. */
  readonly kind: 'loss' | 'failure' | 'rewrite' | 'note';
  /** In a sentence. */
  readonly text: string;
  /** What a safety backup has to hold, and whose writers are kept out: `null` where that is no single table. */
  readonly table: TableName | null;
}

import type { Queryable } from '../../../../database/queryable.js';
import type { LiveNames } from '../live-names.js';
import type { RowCounter } from './count-rows.js';
import type { Loss } from './loss.js';

/** What it takes to find losses, from one statement to the next. */
export interface LossWork {
  readonly db: Queryable;
  readonly names: LiveNames;
  readonly counter: RowCounter;
}

/** A loss before it is known in which file. */
export type FoundLoss = Omit<Loss, 'file' | 'line'>;

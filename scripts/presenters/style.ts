import type { Paint } from './paint.js';

/** How something is shown. */
export interface Style {
  readonly paint: Paint;
  /** All of it, and not only the beginning. */
  readonly isVerbose: boolean;
}

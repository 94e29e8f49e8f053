import { ManageDbError } from '../../../errors.js';
import { listed } from '../../../listed.js';
import type { Target } from '../../../safety/gate.js';

/** @throws ManageDbError `USAGE` */
export function refuseLosses({ environment, database }: Target, losses: readonly string[]): void {
  if (losses.length === 0) return;
  throw new ManageDbError(
    'USAGE',
    `Updating the schema of ${database} (${environment}) would lose rows or values: ${listed(losses, 20)} Nothing was changed.`,
    { hint: 'If they may be lost: --allow-data-loss, which backs the database up first.', details: { losses } },
  );
}

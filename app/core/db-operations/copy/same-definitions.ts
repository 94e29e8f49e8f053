import { ManageDbError } from '../../errors.js';
import { listed } from '../../listed.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { compareDefinitions } from '../compare/compare-definitions.js';
import type { DefinitionDifference } from '../compare/found-difference.js';
import { resolvePart } from '../compare/resolve-part.js';
import { withSides } from '../compare/side.js';
import { LEFT_AT_HOME } from './left-at-home.js';

const SHOWN = 8;

/**
 * Refuses a copy of rows between databases whose definitions differ: the rows might not fit, or mean something else. Owners
 * and grants are no matter.
 *
 * @throws ManageDbError `DRIFT` with the differences, and for what could not be compared; `LOCK_TIMEOUT`
 */
export function requireSameDefinitions(from: Target, to: Target, controls: OperationControls): Promise<void> {
  return withSides(from, to, controls, async (sides) => {
    const part = await resolvePart(sides, { schemas: [], tables: [], without: ['owners', 'grants'] });
    const { definitions, notCompared } = await compareDefinitions(sides, part);
    const whole = definitions.differences.filter(({ isPart }) => !isPart);
    const differences = (whole.length > 0 ? whole : definitions.differences).filter((one) => !isLeftAlone(one));
    const compare = `manage_db compare-db --from ${from.environment} --to ${to.environment} --without owners --without grants`;
    if (differences.length > 0) {
      const names = differences.map(({ kind, name }) => `${kind} ${name}`);
      throw new ManageDbError(
        'DRIFT',
        `The definitions of ${from.environment} and ${to.environment} differ: ${listed(names, SHOWN)}.`,
        {
          hint: `See all of it: ${compare}. To make them equal: manage_db copy-db --from ${from.environment} --to ${to.environment} --schema-only`,
          details: { differences: differences.slice(0, 100) },
        },
      );
    }
    const [unknown] = notCompared;
    if (unknown === undefined) return;
    throw new ManageDbError(
      'DRIFT',
      `It is not known whether ${from.environment} and ${to.environment} have the same definitions: ${unknown.what} ${unknown.name} of ${unknown.environment} could not be compared. ${unknown.because}`,
      { hint: `Compare with logins that may read everything: ${compare}` },
    );
  });
}

/** Each environment's own, what copies leave at home, and what says nothing about rows. */
function isLeftAlone({ kind, name, changes }: DefinitionDifference): boolean {
  if (['subscription', 'user mapping', 'comment'].includes(kind)) return true;
  if (kind === 'extension') return LEFT_AT_HOME.includes(name);
  return (
    FOREIGN.includes(kind) && changes.length > 0 && changes.every(({ property }) => property.startsWith('options'))
  );
}

/** Their rows are elsewhere, and with which options they are reached is the environment's. */
const FOREIGN = ['foreign data wrapper', 'server', 'foreign table'];

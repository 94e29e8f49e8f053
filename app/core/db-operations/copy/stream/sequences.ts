import { readNumberingSequences } from '../../../../database/catalog/sequence-columns.js';
import { readSequencePositions, setSequencePositions } from '../../../../database/catalog/sequence-positions.js';
import type { Queryable } from '../../../../database/queryable.js';
import { qualified } from '../../inspection/find-relation.js';
import { naming } from './copy-error.js';
import type { Lane } from './lane.js';

/** Puts the sequences of the scratch database where those of the source stand; what it does not have is left out. */
export async function takePositionsOf(source: Queryable, scratch: Queryable): Promise<void> {
  const positions = await readSequencePositions(source);
  const there = await readSequencePositions(scratch, () => false);
  const known = new Set(there.map(({ schema, name }) => JSON.stringify([schema, name])));
  await setSequencePositions(
    scratch,
    positions.filter(({ schema, name }) => known.has(JSON.stringify([schema, name]))),
  );
}

/** Moves the sequences that number columns behind the last value that is in them. */
export async function resetSequences(lane: Lane): Promise<void> {
  for (const { schema, name, statement } of await readNumberingSequences(lane.target)) {
    await naming(`The sequence ${qualified({ schema, name })} could not be reset`, () =>
      lane.underEitherPath(async () => {
        await lane.target.query(statement);
      }),
    );
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { forEach } from '../../../app/core/db-operations/database-state/together.js';

describe('work on many things at the same time', () => {
  it('gives the results in the order of the things', async () => {
    const each = { concurrency: 3, signal: undefined };
    const results = await forEach([30, 10, 20, 1], each, async (ms) => {
      await sleep(ms);
      return ms * 2;
    });
    expect(results).to.deep.equal([60, 20, 40, 2]);
  });

  it('has ended altogether when it fails: nothing goes on behind the back of who clears up', async () => {
    const began: number[] = [];
    const ended: number[] = [];
    const failure = await forEach([1, 2, 3, 4, 5], { concurrency: 3, signal: undefined }, async (item, signal) => {
      began.push(item);
      try {
        if (item === 2) {
          await sleep(20);
          throw new Error('of the second');
        }
        await sleep(5000, undefined, { signal }).catch(() => sleep(50));
        throw new Error('of another');
      } finally {
        ended.push(item);
      }
    }).catch((error: unknown) => error);
    expect(failure).to.have.property('message', 'of the second');
    expect([began.sort(), ended.sort()]).to.deep.equal([
      [1, 2, 3],
      [1, 2, 3],
    ]);
  });
});

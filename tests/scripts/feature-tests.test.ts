import { expect } from 'chai';
import { withScratchServer } from '../../scripts/feature-tests/scratch-server.js';
import { dropDatabase, onServer } from '../support/scratch-database.js';
import { settingsOf } from '../support/settings-of.js';
import { testUrl } from '../support/test-server.js';

describe('the scratch databases of the feature tests', () => {
  const left = [1, 2, 3, 4].map((count) => `manage_db_feature_0bad0bad_${count}_testing`);
  afterEach(async () => {
    for (const name of left) await dropDatabase(name);
  });

  it('are swept by one of several runs that begin at the same time, and only that one says so', async () => {
    const settings = await settingsOf(testUrl('postgres'));
    for (const name of left) await onServer((server) => server.query(`create database ${name}`));
    const runs = [1, 2, 3].map(() => withScratchServer(settings, async ({ swept }) => swept));
    expect((await Promise.all(runs)).flat().sort()).to.deep.equal(left);
  });

  it('are no leftovers while their run goes on, and are when its session is gone', async () => {
    const settings = await settingsOf(testUrl('postgres'));
    const [name, others] = await withScratchServer(settings, async (server) => {
      const made = server.newDatabase('testing').name;
      await onServer((client) => client.query(`create database ${made}`));
      return [made, await withScratchServer(settings, async ({ swept }) => swept)] as const;
    });
    expect(others).not.to.include(name);
    expect(await withScratchServer(settings, async ({ swept }) => swept)).to.deep.equal([name]);
  });
});

import { expect } from 'chai';
import { DumpProgress } from '../../../app/core/db-operations/backup/dump/dump-progress.js';
import { type BackupFormat, backupDatabase } from '../../../app/core/db-operations/backup.js';
import type { ProgressEvent } from '../../../app/core/progress.js';
import { progressText } from '../../../scripts/presenters/progress.js';
import { dropDatabase, scratchDatabase } from '../../support/scratch-database.js';
import { scratchWorkspace } from '../../support/scratch-workspace.js';

const MB = 1024 * 1024;

describe('the progress of a backup', () => {
  it('says how many bytes are done, how fast, and how long it will take', async () => {
    const db = await scratchDatabase(`
      create table "big.ü" as select i, repeat(md5(i::text), 40) || md5(random()::text) as filler from generate_series(1, 150000) i;
      create table small as select 1;
      analyze`);
    const workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
    try {
      for (const [format, compress] of [
        ['directory', 'gzip:6'],
        ['plain', undefined],
      ] as [BackupFormat, string?][]) {
        const events: ProgressEvent[] = [];
        const onProgress = (event: ProgressEvent) => events.push(event);
        await workspace.run(() => backupDatabase({ env: 'testing', format, compress, onProgress }));
        const known = events.flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes]));
        expect(known, format).not.to.deep.equal([]);
        const done = known.map((bytes) => bytes.done);
        expect(done).to.deep.equal([...done].sort((a, b) => a - b));
        for (const bytes of known) expect(bytes.done).to.be.at.most(bytes.total);
        expect(known[0]?.total).to.be.greaterThan(8 * MB);
        if (format === 'plain') continue;
        const last = known.at(-1);
        expect(last?.done).to.be.greaterThan(0);
        expect(last?.perSecond).to.be.greaterThan(0);
        expect(last?.remainingMs).to.be.at.least(0);
        const named = events.filter(({ step }) => step === 'dumping public.big.ü');
        expect(named.length).to.be.greaterThan(1);
      }
    } finally {
      await workspace.remove();
      await dropDatabase(db.name);
    }
  });

  it('counts what has ended, and of what runs as much as has been copied', () => {
    let now = 0;
    const tables = [
      { oid: 1, name: 'public.one', bytes: 100 * MB },
      { oid: 2, name: 'public.two', bytes: 300 * MB },
    ];
    const progress = new DumpProgress(tables, () => now);
    const copy = (oid: number, rows: number, expectedRows: number) => ({ oid, rows, expectedRows, bytes: rows * 1000 });
    expect(progress.look([])).to.equal(null);
    expect(progress.heard({ step: 'dumping public.two', done: 0 }).bytes).to.deep.include({
      done: 0,
      remainingMs: null,
    });
    now = 10_000;
    const half = progress.look([copy(2, 500, 1000)]);
    expect(half).to.deep.equal({
      step: 'dumping public.two',
      done: 0,
      total: 2,
      isDetail: true,
      bytes: { done: 150 * MB, total: 400 * MB, perSecond: 15 * MB, remainingMs: 16_667 },
    });
    expect(progressText(half as ProgressEvent)).to.equal(
      'dumping public.two (1/2), 150 MB of 400 MB, 15.0 MB/s, 16.7 s left',
    );
    // more rows than the planner knew are not more than all of them
    expect(progress.look([copy(2, 5000, 1000)])?.bytes?.done).to.equal(Math.round(297 * MB));
    expect(progress.look([copy(1, 0, 10)])).to.deep.include({ step: 'dumping public.one', done: 1 });
    // what is nobody's table is not counted, and nothing goes backwards
    expect(progress.look([copy(77, 1, 1)])).to.equal(null);
    expect(progress.heard({ step: 'dumping public.one', done: 1 }).bytes?.done).to.equal(400 * MB);
    expect(progress.heard({ step: 'computing checksums' })).to.deep.equal({ step: 'computing checksums' });
  });

  it('has a line also where nothing is known about bytes', () => {
    expect(progressText({ step: 'restoring a', done: 1, total: 3 })).to.equal('restoring a (2/3)');
    expect(progressText({ step: 'swapping' })).to.equal('swapping');
  });
});

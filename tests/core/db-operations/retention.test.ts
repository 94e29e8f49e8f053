import { expect } from 'chai';
import { retain, weekOf } from '../../../app/core/db-operations/backup/retention.js';
import type { BackupSummary } from '../../../app/core/db-operations/backup.js';

describe('retention', () => {
  it('keeps the last ones', () => {
    const backups = daily('2026-01-01', 5);
    expect(kept(backups, { keepLast: 2 })).to.deep.equal(['2026-01-05T12:00', '2026-01-04T12:00']);
    expect(kept(backups, { keepLast: 100 })).to.have.length(5);
  });

  it('keeps the newest of each day that has one, in UTC', () => {
    const backups = [
      '2026-03-01T00:00',
      '2026-03-01T23:59',
      '2026-03-05T00:00',
      '2026-03-06T08:00',
      '2026-03-06T09:00',
    ];
    expect(kept(backups.map(complete), { keepDaily: 3 })).to.deep.equal([
      '2026-03-06T09:00',
      '2026-03-05T00:00',
      '2026-03-01T23:59',
    ]);
  });

  it('counts ISO weeks, also where a year has 53 and where they belong to another year', () => {
    const weeks = {
      '2020-12-31': '2020-W53',
      '2021-01-03': '2020-W53',
      '2021-01-04': '2021-W01',
      '2024-12-29': '2024-W52',
      '2024-12-30': '2025-W01',
      '2026-01-01': '2026-W01',
      '2027-01-01': '2026-W53',
      '2026-11-21': '2026-W47',
    };
    for (const [day, week] of Object.entries(weeks)) {
      expect(weekOf(new Date(`${day}T00:00:00Z`)), day).to.equal(week);
      expect(weekOf(new Date(`${day}T23:59:59.999Z`)), day).to.equal(week);
    }
    expect(kept(daily('2026-11-01', 21), { keepWeekly: 2 })).to.deep.equal(['2026-11-21T12:00', '2026-11-15T12:00']);
  });

  it('keeps the newest of each month', () => {
    expect(kept(daily('2026-01-30', 35), { keepMonthly: 12 })).to.deep.equal([
      '2026-03-05T12:00',
      '2026-02-28T12:00',
      '2026-01-31T12:00',
    ]);
  });

  it('keeps what any rule keeps, and says every reason', () => {
    const [newest] = retain(daily('2026-11-01', 21), { keepLast: 1, keepDaily: 1, keepWeekly: 1, keepMonthly: 1 });
    expect(newest?.reasons).to.deep.equal([
      'one of the last 1',
      'day 2026-11-21',
      'week 2026-W47',
      'month 2026-11',
      'the newest',
    ]);
  });

  it('never gives up the newest that is verified, a restored one before one whose files were read', () => {
    const [a, b, c, d, e] = daily('2026-01-01', 5) as [Backup, Backup, Backup, Backup, Backup];
    const files = { how: 'files', at: '2026-02-01T00:00:00.000Z' } as const;
    const deep = { how: 'deep', at: '2026-02-01T00:00:00.000Z' } as const;
    expect(kept([a, { ...b, verification: files }, c, d, e], { keepLast: 1 })).to.deep.equal([
      '2026-01-05T12:00',
      '2026-01-02T12:00',
    ]);
    expect(
      kept([{ ...a, verification: deep }, { ...b, verification: deep }, { ...c, verification: files }, d, e], {
        keepLast: 1,
      }),
    ).to.deep.equal(['2026-01-05T12:00', '2026-01-02T12:00']);
  });

  it('never gives up the newest with everything in it for one with a part', () => {
    const [a, b, c] = daily('2026-01-01', 3) as [Backup, Backup, Backup];
    const part = { ...c, isWhole: false };
    const verified = { ...part, verification: { how: 'deep', at: '2026-02-01T00:00:00.000Z' } as const };
    expect(kept([a, b, verified], { keepLast: 1 })).to.deep.equal(['2026-01-03T12:00', '2026-01-02T12:00']);
  });

  it('neither counts nor removes what is damaged or incomplete', () => {
    const [a, b, c, d] = daily('2026-01-01', 4) as [Backup, Backup, Backup, Backup];
    const retained = retain([a, b, { ...c, state: 'damaged' }, { ...d, state: 'incomplete', worker: 'running' }], {
      keepLast: 1,
    });
    expect(retained.map(({ isKept, reasons }) => [isKept, reasons[0]])).to.deep.equal([
      [true, 'being made now'],
      [true, 'damaged: look at it, and remove it by hand'],
      [true, 'one of the last 1'],
      [false, 'no rule keeps it'],
    ]);
  });

  it('gives up nothing where there is one, or none', () => {
    expect(retain([], { keepLast: 1 })).to.deep.equal([]);
    expect(kept(daily('2026-01-01', 1), { keepMonthly: 1 })).to.have.length(1);
  });

  for (const label of ['before a restore', 'before drop-all-tables', 'before reset-database', 'before a rollback']) {
    it(`counts none that is called "${label}", and keeps the newest of them`, () => {
      const [first, ...others] = daily('2026-01-01', 5).map((backup) => ({ ...backup, label }));
      const planned = complete('2025-12-31T12:00');
      const backups = [planned, ...(first === undefined ? [] : [first]), ...others];
      expect(kept(backups, { keepLast: 3 })).to.deep.equal(['2026-01-05T12:00', '2025-12-31T12:00']);
    });
  }
});

type Backup = BackupSummary;

function complete(at: string): Backup {
  return {
    id: at,
    environment: 'testing',
    createdAt: `${at}:00.000Z`,
    sizeBytes: 1,
    label: null,
    verified: false,
    verification: null,
    state: 'complete',
    worker: null,
    isWhole: true,
    path: `/backups/${at}`,
  };
}

/** One at noon of each of `count` days. */
function daily(first: string, count: number): Backup[] {
  const start = Date.parse(`${first}T12:00:00Z`);
  return Array.from({ length: count }, (_, day) =>
    complete(new Date(start + day * 86_400_000).toISOString().slice(0, 16)),
  );
}

function kept(backups: readonly Backup[], rules: Parameters<typeof retain>[1]): string[] {
  return retain(backups, rules)
    .filter(({ isKept }) => isKept)
    .map(({ backup }) => backup.id);
}

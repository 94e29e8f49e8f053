import { expect } from 'chai';
import type { TimeWindow } from '../../../app/config/kill-switch-settings.js';
import { isInside, windowLock } from '../../../app/core/safety/time-windows.js';

const BERLIN = 'Europe/Berlin';
const at = (iso: string): Date => new Date(iso);

describe('time windows', () => {
  it('go by the clock of their own time zone, on both sides of daylight saving time', () => {
    const evening: TimeWindow = { from: '20:00', to: '23:00', timeZone: BERLIN };
    expect(isInside(evening, at('2026-01-15T18:59:59Z'))).to.equal(false);
    expect(isInside(evening, at('2026-01-15T19:00:00Z'))).to.equal(true);
    expect(isInside(evening, at('2026-01-15T22:00:00Z'))).to.equal(false);
    expect(isInside(evening, at('2026-07-15T17:59:59Z'))).to.equal(false);
    expect(isInside(evening, at('2026-07-15T18:00:00Z'))).to.equal(true);
    expect(isInside({ ...evening, timeZone: 'Asia/Kolkata' }, at('2026-07-15T14:30:00Z'))).to.equal(true);
  });

  it('belong to the day on which they begin, also past midnight', () => {
    const friday: TimeWindow = { days: ['fri'], from: '22:00', to: '02:00', timeZone: BERLIN };
    expect(isInside(friday, at('2026-11-20T21:30:00Z')), 'Friday 22:30').to.equal(true);
    expect(isInside(friday, at('2026-11-21T00:30:00Z')), 'Saturday 01:30').to.equal(true);
    expect(isInside(friday, at('2026-11-21T01:00:00Z')), 'Saturday 02:00').to.equal(false);
    expect(isInside(friday, at('2026-11-20T00:30:00Z')), 'Friday 01:30').to.equal(false);
    const sunday: TimeWindow = { ...friday, days: ['sun'] };
    expect(isInside(sunday, at('2026-11-23T00:30:00Z')), 'Monday 01:30').to.equal(true);
  });

  it('can last the whole day', () => {
    const always: TimeWindow = { from: '00:00', to: '24:00', timeZone: 'UTC' };
    for (const time of ['00:00:00', '12:00:00', '23:59:59'])
      expect(isInside(always, at(`2026-11-21T${time}Z`))).to.equal(true);
  });

  it('lock inside a locked one, outside every open one, and say when', () => {
    const open: TimeWindow = { days: ['tue', 'thu'], from: '20:00', to: '23:00', timeZone: BERLIN };
    const locked: TimeWindow = { from: '21:00', to: '22:00', timeZone: BERLIN };
    const thursday = (hour: number): Date => at(`2026-11-19T${hour}:30:00Z`);
    expect(windowLock({ openWindows: [], lockedWindows: [] }, thursday(12))).to.equal(null);
    expect(windowLock({ openWindows: [open], lockedWindows: [] }, thursday(19))).to.equal(null);
    expect(windowLock({ openWindows: [open], lockedWindows: [] }, thursday(12))).to.equal(
      'changes are possible only tue, thu 20:00 to 23:00 Europe/Berlin',
    );
    expect(windowLock({ openWindows: [open], lockedWindows: [locked] }, thursday(20))).to.equal(
      'it is locked every day 21:00 to 22:00 Europe/Berlin',
    );
    expect(windowLock({ openWindows: [], lockedWindows: [locked] }, thursday(19))).to.equal(null);
  });
});

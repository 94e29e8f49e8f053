import { expect } from 'chai';
import { ManageDbError } from '../../../app/core/errors.js';
import { defineTrigger, type TriggerSpec } from '../../../app/core/triggers/declaration.js';
import { everyTable } from '../../../app/core/triggers/every-table.js';

const GOOD: TriggerSpec = { table: 'clinic.users', timing: 'before', on: ['insert', 'update'], function: 'check_user' };

describe('declaring a trigger', () => {
  it('fills in what was left out', () => {
    expect(defineTrigger('check_user', GOOD)).to.deep.include({
      name: 'check_user',
      level: 'row',
      args: [],
      version: 1,
      mode: 'origin',
      constraint: null,
      when: null,
      environments: null,
    });
  });

  const refused: readonly [string, Partial<TriggerSpec>, RegExp][] = [
    ['row level TRUNCATE', { on: ['truncate'] }, /TRUNCATE has no rows/],
    ['INSTEAD OF a statement', { timing: 'instead of', level: 'statement' }, /INSTEAD OF fires for each row/],
    ['INSTEAD OF with WHEN', { timing: 'instead of', when: 'true' }, /cannot have a when/],
    ['INSTEAD OF on every table', { timing: 'instead of', table: everyTable({ having: ['id'] }) }, /name the view/],
    ['UPDATE OF without UPDATE', { on: ['insert'], updateOf: ['email'] }, /updateOf needs 'update'/],
    ['no events', { on: [] }, /at least one of insert, update, delete, truncate/],
    ['an event twice', { on: ['insert', 'insert'] }, /twice/],
    ['a table with two dots', { table: 'a.b.c' }, /schema\.name/],
    ['version 0', { version: 0 }, /version must be/],
    ['an empty condition', { when: ' ' }, /SQL condition/],
    ['transition tables before the event', { on: ['update'], referencing: { old: 'o' } }, /timing must be 'after'/],
    [
      'transition tables of two events',
      { timing: 'after', on: ['insert', 'update'], referencing: { new: 'n' } },
      /of one event/,
    ],
    ['old rows of INSERT', { timing: 'after', on: ['insert'], referencing: { old: 'o' } }, /INSERT has no old rows/],
    ['new rows of DELETE', { timing: 'after', on: ['delete'], referencing: { new: 'n' } }, /DELETE has no new rows/],
    [
      'transition tables of TRUNCATE',
      { timing: 'after', on: ['truncate'], level: 'statement', referencing: { old: 'o' } },
      /TRUNCATE has no transition tables/,
    ],
    [
      'transition tables with updateOf',
      { timing: 'after', on: ['update'], updateOf: ['email'], referencing: { old: 'o' } },
      /exclude each other/,
    ],
    [
      'two transition tables of one name',
      { timing: 'after', on: ['update'], referencing: { old: 'o', new: 'o' } },
      /different names/,
    ],
    ['a constraint trigger before the row', { constraint: {} }, /timing must be 'after'/],
    [
      'a constraint trigger of statements',
      { timing: 'after', level: 'statement', constraint: {} },
      /level must be 'row'/,
    ],
    [
      'a constraint trigger that is deferred and cannot be',
      { timing: 'after', constraint: { deferrable: false, initiallyDeferred: true } },
      /cannot be deferred/,
    ],
    ['an unknown mode', { mode: 'on' } as unknown as Partial<TriggerSpec>, /mode must be one of origin, replica/],
    ['a mode of a view', { timing: 'instead of', on: ['update'], mode: 'always' }, /cannot be switched/],
    ['two modes', { mode: 'always', enabled: false }, /enabled says the opposite/],
    ['a misspelt key', { enable: false } as Partial<TriggerSpec>, /"enable" is not known/],
  ];
  for (const [what, change, message] of refused) {
    it(`refuses ${what}`, () => {
      expect(() => defineTrigger('t', { ...GOOD, ...change })).to.throw(ManageDbError, message);
    });
  }

  it('reports all problems at once', () => {
    const define = () => defineTrigger('', { ...GOOD, on: ['truncate'], version: -1 });
    expect(define).to.throw(ManageDbError, /needs a name.*TRUNCATE has no rows.*version must be/);
  });

  it('refuses a name that PostgreSQL would cut', () => {
    expect(() => defineTrigger('ü'.repeat(32), GOOD)).to.throw(ManageDbError, /63 bytes/);
  });
});

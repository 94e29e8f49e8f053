import { expect } from 'chai';
import { describeConfig } from '../../app/config/db-config.js';
import { readCopySettings } from '../../app/config/resolve-copy.js';
import type { ManageDbError } from '../../app/core/errors.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';

describe('the settings of copies', () => {
  let workspace: ScratchWorkspace;
  beforeEach(() => {
    workspace = scratchWorkspace();
  });
  afterEach(() => workspace.remove());

  const configure = (environments: object) =>
    workspace.write({ 'manage_db.config.json': JSON.stringify({ environments }) });
  const settings = (environment: string) => workspace.run(() => readCopySettings(environment));
  const problem = (copy: object): Promise<ManageDbError> => {
    configure({ testing: { copy } });
    return settings('testing').then(
      () => expect.fail('it should have been refused'),
      (error) => error,
    );
  };

  const OUTBOX = { where: 'sent_at is null', delete: true };
  const EVENTS = { set: { status: 'quarantined', tries: 0, at: null } };

  it('are empty where nothing is set', async () => {
    expect(await settings('testing')).to.deep.equal({ quarantine: { rows: {}, keep: [] }, afterCopy: [] });
  });

  it('come from the environment and from those that it extends: tables are added up, of lists the nearest counts', async () => {
    configure({
      testing: {
        copy: {
          quarantine: { rows: { outbox: OUTBOX, events: EVENTS }, keep: ['cron-jobs'] },
          afterCopy: ['a.sql', 'b.sql'],
        },
      },
      preview: { extends: 'testing', copy: { quarantine: { rows: { outbox: { delete: true } } }, afterCopy: [] } },
    });
    expect(await settings('testing')).to.deep.equal({
      quarantine: {
        rows: {
          outbox: { action: 'delete', where: 'sent_at is null' },
          events: { action: 'set', set: { status: 'quarantined', tries: 0, at: null }, where: null },
        },
        keep: ['cron-jobs'],
      },
      afterCopy: ['a.sql', 'b.sql'],
    });
    const { quarantine, afterCopy } = await settings('preview');
    expect(quarantine.rows)
      .to.deep.include({ outbox: { action: 'delete', where: null } })
      .and.to.have.property('events');
    expect([quarantine.keep, afterCopy]).to.deep.equal([['cron-jobs'], []]);
    expect((await settings('development')).quarantine.rows).to.deep.equal({});
  });

  it('are shown with the section that says them, without values', async () => {
    configure({
      testing: { copy: { quarantine: { rows: { outbox: OUTBOX, events: EVENTS } } } },
      preview: { extends: 'testing', databaseUrl: 'postgresql://a@h/p', copy: { afterCopy: ['a.sql'] } },
    });
    const { values } = await workspace.run(() => describeConfig('preview'));
    const source = (name: string) => `environments.${name}.copy in the configuration file`;
    expect(values.filter(({ name }) => name.startsWith('copy.'))).to.deep.equal([
      { name: 'copy.afterCopy', value: 'a.sql', source: source('preview') },
      { name: 'copy.quarantine.rows.outbox', value: 'delete where sent_at is null', source: source('testing') },
      { name: 'copy.quarantine.rows.events', value: 'set status, tries, at (all rows)', source: source('testing') },
    ]);
  });

  it('are refused with every problem at once', async () => {
    const error = await problem({
      quarantine: {
        rows: {
          a: { where: 'x' },
          b: { delete: true, set: { x: 1 } },
          c: { delete: false },
          d: { set: {} },
          e: { delete: true, where: ' ' },
          f: { set: { x: [] } },
        },
        keep: ['jobs'],
      },
      afterCopy: [1],
      aftercopy: [],
    });
    expect(error).to.include({ code: 'INVALID_CONFIGURATION' });
    for (const words of [
      'rows.a: it needs either delete: true, or set',
      'rows.b: it needs either delete: true, or set',
      'rows.c.delete',
      'rows.d.set: it names no column',
      'rows.e.where: it is empty',
      'rows.f.set.x',
      'keep.0',
      'afterCopy.0: it must be the path of an SQL file, or a function',
      'aftercopy',
    ])
      expect(error.message).to.contain(words);
  });
});

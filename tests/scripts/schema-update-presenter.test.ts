import { expect } from 'chai';
import pc from 'picocolors';
import type { SchemaUpdatePlan } from '../../app/core/db-operations/copy/schema-update.js';
import { renderSchemaUpdate, renderSchemaUpdatePlan } from '../../scripts/presenters/schema-update.js';

const side = (environment: string) => ({ environment, host: 'h', port: 1, database: 'd', serverVersion: '15.1' });
const nothing = {
  from: side('staging'),
  to: side('testing'),
  statements: [],
  labelsFirst: false,
  locks: [],
  losses: [],
  obstacles: [],
  differences: [],
  remaining: [],
  warnings: [],
};
const style = { paint: pc.createColors(false), isVerbose: false };
const render = (plan: Partial<SchemaUpdatePlan>) =>
  renderSchemaUpdatePlan({ ...nothing, ...plan } as unknown as SchemaUpdatePlan, style);

describe('a plan of a schema update, for people', () => {
  it('says that nothing has to be done', () => {
    expect(render({})).to.equal('✓ Nothing has to be done: testing is like staging.');
  });

  it('shows each statement with its risks, who waits, and what is lost', () => {
    const text = 'The table clinic.old is dropped, with about 3 rows, 1 MB.';
    const shown = render({
      statements: [
        { sql: 'DROP TABLE "clinic"."old"', risks: [{ kind: 'loss', text }], addsLabel: false },
        { sql: 'CREATE VIEW clinic.v AS\nselect 1;', risks: [], addsLabel: false },
      ],
      locks: [{ schema: 'clinic', name: 'old', mode: 'access exclusive', waits: 'everybody' }],
      losses: [text],
      obstacles: ['The server of testing does not have these extensions: postgis.'],
    });
    expect(shown.split('\n')).to.deep.equal([
      '2 statements to make the schema of testing like that of staging; rows stay.',
      '  DROP TABLE "clinic"."old";',
      `    ${text}`,
      '  CREATE VIEW clinic.v AS …',
      'Locked until the end',
      '  clinic.old: readers and writers wait',
      'Lost',
      `  ${text}`,
      'In the way',
      '  The server of testing does not have these extensions: postgis.',
    ]);
  });

  it('leaves warnings to the frame that shows them', () => {
    const done = { statements: 1, losses: [], remaining: [], durationMs: 90, safetyBackup: null, undo: null };
    expect(render({ statements: [{ sql: 'X', risks: [], addsLabel: false }], warnings: ['Look!'] })).to.not.include(
      'Look!',
    );
    expect(renderSchemaUpdate({ ...done, warnings: ['Look!'] }, style)).to.not.include('Look!');
  });

  it('spells out what a terminal would obey in names and statements', () => {
    expect(render({ statements: [{ sql: 'DROP TABLE "\u001b[2J"', risks: [], addsLabel: false }] })).to.not.include(
      '\u001b',
    );
  });

  it('names the backup, and the command that leads back', () => {
    const updated = { statements: 2, losses: [], remaining: [], warnings: [], durationMs: 90 };
    const undo = 'manage_db restore-backup b1 --env testing';
    expect(renderSchemaUpdate({ ...updated, safetyBackup: 'b1', undo }, style)).to.equal(
      `✓ 2 statements executed in 90 ms\nWhat it was is backup b1; back to it: ${undo}`,
    );
  });
});

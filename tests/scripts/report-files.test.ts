import { execFileSync, spawn } from 'node:child_process';
import { lstatSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ManageDbError } from '../../app/core/errors.js';
import { refuseReportFiles, writeReportFile } from '../../scripts/feature-tests/report-files.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';

const REPORT = `${JSON.stringify({ version: 1, manageDbVersion: '0.1.0' }, null, 2)}\n`;

describe('the files of a report', () => {
  let workspace: ScratchWorkspace;
  beforeEach(() => {
    workspace = scratchWorkspace({ '.env.testing': 'DATABASE_URL=postgresql://anna:secret@db1/clinic\n' });
  });
  afterEach(() => workspace.remove());

  const path = (name: string): string => join(workspace.root, name);
  const refusal = (name: string): string | null => {
    try {
      refuseReportFiles({ junit: path(name) });
      return null;
    } catch (error) {
      return (error as ManageDbError).code;
    }
  };

  it('replace earlier reports, and nothing else', () => {
    expect(refusal('.env.testing')).to.equal('USAGE');
    expect(refusal('features.xml')).to.equal(null);
    writeFileSync(path('features.json'), REPORT);
    writeFileSync(
      path('features.xml'),
      '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="manage_db" tests="1">',
    );
    writeFileSync(path('other.xml'), '<?xml version="1.0" encoding="UTF-8"?>\n<project/>');
    writeFileSync(path('empty'), '');
    expect(['features.json', 'features.xml', 'other.xml', 'empty'].map(refusal)).to.deep.equal([
      null,
      null,
      'USAGE',
      null,
    ]);
  });

  it('go where a link leads, and leave the link', () => {
    writeFileSync(path('real.json'), REPORT);
    symlinkSync('real.json', path('link.json'));
    writeReportFile(path('link.json'), 'new');
    expect(lstatSync(path('link.json')).isSymbolicLink()).to.equal(true);
    expect(readFileSync(path('real.json'), 'utf8')).to.equal('new');
  });

  it('go into a pipe, which stays one', async () => {
    execFileSync('mkfifo', [path('pipe')]);
    const reader = spawn('cat', [path('pipe')]);
    let read = '';
    reader.stdout.on('data', (data) => {
      read += data;
    });
    const ended = new Promise((resolve) => reader.once('close', resolve));
    expect(refusal('pipe')).to.equal(null);
    writeReportFile(path('pipe'), 'the report');
    await ended;
    expect([read, lstatSync(path('pipe')).isFIFO()]).to.deep.equal(['the report', true]);
  });
});

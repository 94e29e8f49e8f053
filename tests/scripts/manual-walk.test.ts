import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { readEmbeddedEndpoint } from '../../app/config/embedded-endpoint.js';
import { findClientTools } from '../../app/services/client-tools.js';
import { stopEmbeddedServer } from '../../app/services/embedded-postgres.js';
import { CLI } from '../support/command-line.js';
import { blocksOf, withoutChance } from '../support/manual-walk.js';
import { removeServerData } from '../support/server-data.js';

describe('docs/getting-started.md', () => {
  let parent: string;
  let folder: string;
  before(() => {
    parent = realpathSync(mkdtempSync(join(tmpdir(), 'manage-db-manual-')));
    folder = join(parent, 'shop');
    // as `npm install manage_db` leaves it; tests/package.test.ts installs the real package
    mkdirSync(join(folder, 'node_modules'), { recursive: true });
    symlinkSync(join(import.meta.dirname, '..', '..'), join(folder, 'node_modules', 'manage_db'));
    writeFileSync(join(folder, 'package.json'), '{"name":"shop","private":true}');
    mkdirSync(join(parent, 'bin'));
    for (const [name, line] of [
      ['manage_db', `exec '${process.execPath}' '${CLI}' "$@"`],
      ['npx', 'exec "$@"'],
    ] as const) {
      writeFileSync(join(parent, 'bin', name), `#!/bin/sh\n${line}\n`);
      chmodSync(join(parent, 'bin', name), 0o755);
    }
  });
  after(async () => {
    const endpoint = readEmbeddedEndpoint(folder);
    await stopEmbeddedServer(folder);
    if (endpoint !== null) removeServerData(endpoint.dataDirectory);
    rmSync(parent, { recursive: true, force: true });
  });

  it('does, line by line, what it says, and prints what it shows', async () => {
    const { psql } = await findClientTools({ serverMajor: 15 });
    const blocks = blocksOf('getting-started.md').filter(({ commands }) => !commands.includes('npm install'));
    expect(blocks.length).to.be.greaterThan(10);
    for (const { commands, exitCode, output } of blocks) {
      const { status, stdout } = spawnSync('sh', ['-ec', `exec 2>&1\n${commands}`], {
        cwd: folder,
        encoding: 'utf8',
        env: {
          HOME: process.env.HOME,
          PATH: `${join(parent, 'bin')}:${dirname(psql)}:${process.env.PATH}`,
          NODE_V8_COVERAGE: process.env.NODE_V8_COVERAGE,
        },
      });
      expect(status, `${commands}\n${stdout}`).to.equal(exitCode);
      expect(withoutChance(stdout), commands).to.deep.equal(withoutChance(output ?? ''));
    }
  });
});

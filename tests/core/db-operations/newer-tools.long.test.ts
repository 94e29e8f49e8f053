import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { getConfig } from '../../../app/config/db-config.js';
import { loadDump, loadSchema } from '../../../app/core/db-operations/backup/dump/load.js';
import { NOTHING_LEFT_OUT } from '../../../app/core/db-operations/backup/left-out-parts.js';
import { type BackupResult, backupDatabase } from '../../../app/core/db-operations/backup.js';
import { withoutTransaction } from '../../../app/core/db-operations/restore/restore-script.js';
import { type ClientTools, findClientTools } from '../../../app/services/client-tools.js';
import { dropDatabase, type ScratchDatabase, scratchDatabase, withClient } from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';

const UNKNOWN = 'SET transaction_timeout = 0;';
const FIRST = /^SET statement_timeout = 0;$/m;

/**
 * A pg_restore that behaves like that of version 17 towards an older server: what it executes first is a setting that the
 * server does not know, and it goes on after that only if it may; as text it writes it.
 */
const PG_RESTORE = (real: string) => `#!/bin/bash
said='pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"'
case " $* " in
  *" --list "*) exec ${real} "$@";;
  *" --file=- "*) ${real} "$@" | sed 's/^SET statement_timeout = 0;$/&\\n${UNKNOWN}/'; exit "\${PIPESTATUS[0]}";;
  *" --exit-on-error "*) echo "$said" >&2; exit 1;;
esac
printf '%s\\nCommand was: ${UNKNOWN}\\n' "$said" >&2
${real} "$@" || exit
echo 'pg_restore: warning: errors ignored on restore: 1' >&2
exit 1
`;

describe('client tools that are newer than the server', () => {
  let db: ScratchDatabase;
  let empty: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let folder: string;
  let real: ClientTools;
  let newer: ClientTools;
  before(async () => {
    real = await findClientTools();
    folder = mkdtempSync(join(tmpdir(), 'manage-db-tools-17-'));
    const pgRestore = join(folder, 'pg_restore');
    writeFileSync(pgRestore, PG_RESTORE(real.pgRestore), { mode: 0o755 });
    newer = { ...real, version: '17.6', major: 17, minor: 6, pgRestore };
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  beforeEach(async () => {
    db = await scratchDatabase(`
      create table notes (id int primary key, body text);
      insert into notes values (1, e'\\n${UNKNOWN}\\n'), (2, '${UNKNOWN}');
      create function sets() returns void language plpgsql as e'begin\\n${UNKNOWN}\\nend'`);
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    empty = await scratchDatabase();
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  afterEach(async () => {
    await workspace.remove();
    for (const { name } of [db, empty]) await dropDatabase(name);
  });

  const content = async (of: ScratchDatabase) =>
    (
      await of.query(
        `select id::text, body from notes union all select proname, prosrc from pg_proc where proname = 'sets' order by 1`,
      )
    ).rows;
  const backup = (format: 'directory' | 'custom' | 'plain') =>
    workspace.run(() => backupDatabase({ env: 'testing', format }));
  const request = async ({ path, manifest }: BackupResult) => {
    const { connection } = await workspace.run(() => getConfig('testing'));
    const place = { settings: connection, database: empty.name, serverMajor: 15, folder: path, manifest };
    return { ...place, tools: newer, jobs: 2, parts: NOTHING_LEFT_OUT };
  };

  for (const format of ['directory', 'custom'] as const) {
    it(`load an archive into it, passing over the one setting that it does not know (${format})`, async () => {
      const made = await backup(format);
      expect(await loadSchema(await request(made))).to.deep.equal([]);
      await empty.query('drop schema public, manage_db cascade; create schema public');
      await loadDump(await request(made));
      expect(await content(empty)).to.deep.equal(await content(db));
    });
  }

  it('load a plain dump into it without that setting, and with everything that only looks like it', async () => {
    const made = await backup('plain');
    const file = join(made.path, 'dump.sql');
    writeFileSync(file, readFileSync(file, 'utf8').replace(FIRST, `$&\n${UNKNOWN}`));
    await loadDump(await request(made));
    expect(await content(empty)).to.deep.equal(await content(db));
  });

  it('write what goes into one transaction, where the setting would end it', async () => {
    const { path } = await backup('custom');
    const args = ['--single-transaction', '--file=-', join(path, 'dump.pgdump')];
    const written = await text(spawn(real.pgRestore, args).stdout);
    const likeNewer = `\\restrict aBc\n${written.replace(/^\\(?:un)?restrict .*\n/gm, '').replace(FIRST, `$&\n${UNKNOWN}`)}\\unrestrict aBc\n`;
    const script = (unknownStatement: string | null) =>
      text(Readable.from(withoutTransaction(Readable.from([Buffer.from(likeNewer)]), { unknownStatement })));
    const older = await script(UNKNOWN);
    expect(older.match(/^SET transaction_timeout = 0;$/gm)).to.have.length(1);
    expect(older)
      .to.include('\\restrict aBc')
      .and.include('\\unrestrict aBc')
      .and.not.match(/^(BEGIN|COMMIT);$/m);
    expect((await script(null)).match(/^SET transaction_timeout = 0;$/gm)).to.have.length(2);
  });
});

import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { escapeIdentifier } from 'pg';
import { type CopyPair, copyPair } from '../../support/copy-pair.js';
import { killCommand } from '../../support/killed-command.js';
import { onServer } from '../../support/scratch-database.js';

describe('a copy that is killed', () => {
  let pair: CopyPair;
  let login: string;
  let temporary: string;
  beforeEach(async () => {
    pair = await copyPair(`
      create table public.patients (id int primary key, name text, unique (name));
      insert into public.patients select i, md5(i::text) from generate_series(1, 60000) i;
      create table public.visits (id int primary key, patient_id int references public.patients);
      insert into public.visits select i, i from generate_series(1, 60000) i`);
    login = `killed_${randomBytes(4).toString('hex')}`;
    await onServer((server) => server.query(`create role ${escapeIdentifier(login)} login superuser password 'x'`));
    for (const [env, { url }] of [
      ['testing', pair.source],
      ['development', pair.target],
    ] as const) {
      const own = new URL(url);
      own.username = login;
      own.password = 'x';
      pair.workspace.write({ [`.env.${env}`]: `${env.toUpperCase()}_DATABASE_URL=${own.href}\n` });
    }
    temporary = join(pair.workspace.root, 'tmp');
    mkdirSync(temporary);
  });
  afterEach(async () => {
    await pair.remove();
    await onServer((server) => server.query(`drop role ${escapeIdentifier(login)}`));
  });

  const line = (strategy: string) => ['copy-db', '--from', 'testing', '--to', 'development', '--strategy', strategy];
  const ids = async (): Promise<readonly number[]> =>
    (await pair.target.query<{ id: number }>('select id from public.patients order by id limit 2')).rows.map(
      ({ id }) => id,
    );

  for (const [strategy, step, afterMs] of [
    ['stream', 'planning', 0],
    ['stream', 'creating a scratch database', 0],
    ['stream', 'reading the definitions', 0],
    ['stream', 'making the tables', 0],
    ['stream', 'copying public.patients', 0],
    ['stream', 'copying public.patients', 100],
    ['stream', 'making foreign keys', 0],
    ['stream', 'analyzing', 0],
    ['stream', 'checking triggers', 0],
    ['stream', 'swapping', 0],
    ['stream', 'swapping', 20],
    ['template', 'copying the files of', 0],
    ['template', 'copying the files of', 100],
    ['template', 'checking triggers', 0],
    ['template', 'swapping', 0],
  ] as const) {
    it(`by ${strategy}, ${afterMs} ms after ${step}, has changed nothing, and the next one clears up`, async () => {
      const env = { TMPDIR: temporary };
      await killCommand(line(strategy), {
        ...{ cwd: pair.workspace.root, env, step, afterMs, login },
        mayHaveEnded: step === 'swapping',
      });
      const now = await ids();
      if (step === 'swapping') expect([[99], [1, 2]]).to.deep.include(now);
      else expect(now).to.deep.equal([99]);
      const next = await pair.workspace.cli([...line(strategy), '--yes', '--json'], { env });
      expect(next.code, next.stderr).to.equal(0);
      expect(await ids()).to.deep.equal([1, 2]);
      expect((await pair.leftovers()).filter((name) => name.startsWith('manage_db_scratch_'))).to.deep.equal([]);
      expect(readdirSync(temporary)).to.deep.equal([]);
    });
  }
});

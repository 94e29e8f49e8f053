import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ScratchDatabase, scratchDatabase, withClient } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';

const PHONE = `-- migrate:up
alter table patients add phone text;
update patients set phone = 'x';
-- migrate:down
alter table patients drop phone;
`;

describe('applying migrations on the command line', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;

  const open = async (environment: 'testing' | 'production', config = '{}') => {
    database = await scratchDatabase('create table patients (id integer); insert into patients values (1), (2)');
    await withClient(database.url, (client) => stampAs(client, environment));
    workspace = scratchWorkspace({
      [`.env.${environment}`]: `${environment.toUpperCase()}_DATABASE_URL=${database.url}\n`,
      'manage_db.config.json': config,
      'migrations/20260101_phone.sql': PHONE,
    });
  };
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
  });

  const cli = (...args: string[]) => workspace.cli([...args, '--env', 'testing', '--yes']);
  const production = (command: string, ...args: string[]) =>
    workspace.cli(
      [
        command,
        ...args,
        ...['--env', 'production', '--reason', 'a test'],
        ...['--confirm', `EXECUTE ${command.toUpperCase().replaceAll('-', '_')} ON ${database.name}`],
      ],
      { env: { KILL_SWITCH_OVERRIDE: 'true' } },
    );
  const phones = async () =>
    (await database.query<{ phone: string }>('select phone from patients')).rows.map(({ phone }) => phone);

  it('says what will be done, does it, and says what is pending', async () => {
    await open('testing');
    const dry = await cli('apply-db-migration', '--dry-run');
    expect(dry.stdout).to.contain('20260101 phone').and.contain('Nothing was changed');
    const { code, stdout, stderr } = await cli('apply-db-migration');
    expect([code, stdout], stderr).to.satisfy(
      ([exit, text]: [number, string]) => exit === 0 && /✓ 20260101 phone.*\n1 migration applied, 0 pending/.test(text),
    );
    expect((await cli('apply-db-migration')).stdout).to.contain('no migration is pending');
    expect(await phones()).to.deep.equal(['x', 'x']);
  });

  it('stamps an empty database that it gives its first tables, which is known from then on', async () => {
    await open('testing');
    await database.query('drop table patients; drop schema manage_db cascade');
    workspace.write({
      'migrations/20260101_phone.sql': '-- migrate:up\ncreate table a (id integer);\n-- migrate:down\ndrop table a;\n',
    });
    expect((await cli('apply-db-migration')).code).to.equal(0);
    const back = await cli('rollback-db-migration');
    expect(back.code, back.stderr).to.equal(0);
  });

  it('gives programs one object, whatever the files of the workspace print', async () => {
    await open('testing');
    workspace.write({
      'migrations/20260102_noise.mjs': `console.log('top'); export async function up(db) { console.log('noise'); await db.query('select 1'); }`,
    });
    const applied = await cli('apply-db-migration', '--json');
    expect(applied.json().data).to.deep.include({ pending: 0, isDryRun: false });
    expect(applied.stderr).to.contain('noise');
    workspace.write({ 'migrations/20260103_bad.sql': '-- migrate:up\nselect 1;\nselect nope;\n' });
    const failed = await cli('apply-db-migration', '--json');
    expect([failed.code, failed.json().error?.code]).to.deep.equal([1, 'SQL_FAILED']);
    const shown = await cli('apply-db-migration');
    expect(shown.stderr).to.match(
      /20260103_bad\.sql:3:8: column "nope" does not exist\nselect nope;\n {7}\^\n.*\nSQLSTATE 42703\n→ /,
    );
    expect(failed.json().error?.details).to.deep.include({ line: 3, column: 8, sqlState: '42703', failed: '20260103' });
  });

  it('takes nothing back that loses something before somebody has agreed', async () => {
    await open('testing');
    await cli('apply-db-migration');
    // on a server of its own nothing else would be asked; here --yes is what the gate wants, too
    const refused = await workspace.cli(['rollback-db-migration', '--env', 'testing']);
    expect(refused.code).to.equal(2);
    expect(refused.stderr).to.contain('CONFIRMATION_REQUIRED');
    const leftover = { env: { CONFIRMATION_TEXT: 'EXECUTE RESET_DATABASE ON another' } };
    expect((await workspace.cli(['rollback-db-migration', '--env', 'testing'], leftover)).code).to.equal(2);
    expect(await phones()).to.deep.equal(['x', 'x']);
    const dry = await cli('rollback-db-migration', '--dry-run');
    expect(dry.stdout).to.contain('drops 2 non-null values of patients.phone');
    const done = await cli('rollback-db-migration');
    expect(done.stderr).to.contain('drops 2 non-null values of patients.phone');
    expect(done.stdout).to.contain('1 migration rolled back, 1 pending');
    expect((await cli('redo-db-migration')).stdout).to.match(
      /nothing to do .*: 1 migration pending \(manage_db apply-db-migration --env testing\)/,
    );
  });

  it('says with which command that works as it stands a migration without a way down is undone', async () => {
    await open('testing');
    workspace.write({ 'migrations/20260101_phone.sql': '-- migrate:up\ncreate table phones (id integer);\n' });
    await cli('apply-db-migration');
    const { stderr } = await cli('rollback-db-migration');
    const [, name = ''] = /manage_db create-db-migration (\w+)\./.exec(stderr) ?? [];
    expect(name, stderr).to.equal('undo_phone');
    expect((await cli('create-db-migration', name)).code).to.equal(0);
  });

  it('says before a file is applied that nobody has decided on its way down, and does not take it back', async () => {
    await open('testing');
    workspace.write({
      'migrations/20260101_phone.sql': PHONE.replace('alter table patients drop', '--! alter table patients drop'),
    });
    expect((await cli('apply-db-migration')).stderr).to.contain('once applied, it cannot be rolled back');
    const back = await cli('rollback-db-migration');
    expect([back.code, back.stderr.includes('MIGRATION_IRREVERSIBLE')], back.stderr).to.deep.equal([2, true]);
    expect(await phones()).to.deep.equal(['x', 'x']);
  });

  it('redoes the last one', async () => {
    await open('testing');
    await cli('apply-db-migration');
    await database.query(`update patients set phone = 'other'`);
    expect((await cli('redo-db-migration')).stdout).to.contain(
      '1 migration rolled back, 1 migration applied, 0 pending',
    );
    expect(await phones()).to.deep.equal(['x', 'x']);
  });

  it('wants the ceremony in production, and backs up before it takes something back', async () => {
    await open('production');
    const refused = await workspace.cli(['apply-db-migration', '--env', 'production', '--yes']);
    expect(refused.code).to.equal(2);
    expect((await production('apply-db-migration')).code).to.equal(0);
    await database.query(`update patients set phone = 'real'`);
    const back = await production('rollback-db-migration', '--json');
    expect(back.code, back.stderr).to.equal(0);
    const { safetyBackup, undo } = back.json().data as { safetyBackup: string; undo: string };
    expect(undo).to.equal(`manage_db restore-backup ${safetyBackup} --env production`);
    const restored = await production('restore-backup', safetyBackup);
    expect(restored.code, restored.stderr).to.equal(0);
    expect(await phones()).to.deep.equal(['real', 'real']);
  });

  it('keeps the safety backup of a way down that has failed in its middle, and names it', async () => {
    await open('production');
    workspace.write({
      'migrations/20260101_phone.sql': `-- migrate:up
alter table patients add phone text;
-- migrate:down transaction:false
alter table patients drop phone;
select nope;
`,
    });
    await production('apply-db-migration');
    await database.query(`update patients set phone = 'real'`);
    const failed = await production('rollback-db-migration');
    expect(failed.code).to.equal(1);
    const [, id] = /The safety backup (\S+) leads back/.exec(failed.stderr) ?? [];
    expect(failed.stderr).to.contain('Of 20260101_phone, 1 statement is done');
    expect(existsSync(join(workspace.root, 'backups', 'production', id ?? '', 'manifest.json'))).to.equal(true);
  });

  it('applies in production only what was rehearsed, where the settings demand that', async () => {
    await open('production', '{"environments":{"production":{"migrations":{"requireRehearsal":true}}}}');
    for (const command of ['apply-db-migration', 'initialize-db']) {
      const refused = await production(command);
      expect([refused.code, refused.stderr.includes('REHEARSAL_REQUIRED')], refused.stderr).to.deep.equal([2, true]);
    }
    const rehearsed = await workspace.cli(['apply-db-migration', '--rehearse', '--env', 'production']);
    expect(rehearsed.code, rehearsed.stderr).to.equal(0);
    expect(rehearsed.stdout).to.match(/ACCESS EXCLUSIVE|rewrites|rolled back/);
    const applied = await production('apply-db-migration');
    expect(applied.code, applied.stderr).to.equal(0);
  });

  it('knows a rehearsal of another clone, once its reports are handed over', async () => {
    await open('production', '{"environments":{"production":{"migrations":{"requireRehearsal":true}}}}');
    const other = workspace;
    expect((await other.cli(['apply-db-migration', '--rehearse', '--env', 'production'])).code).to.equal(0);
    try {
      workspace = scratchWorkspace();
      const isVersioned = (path: string) => !path.startsWith(join(other.root, '.manage_db'));
      cpSync(other.root, workspace.root, { recursive: true, filter: isVersioned });
      expect((await production('apply-db-migration')).stderr).to.contain('REHEARSAL_REQUIRED');
      const reports = join('.manage_db', 'rehearsals');
      cpSync(join(other.root, reports), join(workspace.root, reports), { recursive: true });
      const applied = await production('apply-db-migration');
      expect(applied.code, applied.stderr).to.equal(0);
    } finally {
      await other.remove();
    }
  });

  it('refuses to drop what it could replace, unless that is meant', async () => {
    await open('testing');
    await cli('apply-db-migration');
    await database.query('create function one() returns integer language sql return 1');
    workspace.write({
      'migrations/20260102_one.sql':
        '-- migrate:up\ndrop function one();\ncreate function one() returns integer language sql return 2;\n',
    });
    for (const command of ['apply-db-migration', 'initialize-db']) {
      const refused = await cli(command);
      expect([refused.code, refused.stderr.includes('UNSAFE_MIGRATION')], refused.stderr).to.deep.equal([2, true]);
    }
    const meant = await workspace.cli(['apply-db-migration', '--env', 'testing', '--yes'], {
      env: { ALLOW_UNSAFE_MIGRATIONS: 'true' },
    });
    expect(meant.code, meant.stderr).to.equal(0);
  });

  it('writes the schema down where the settings say, and leaves an unchanged one alone', async () => {
    await open('testing', '{"environments":{"testing":{"migrations":{"schemaFile":"schema.sql"}}}}');
    expect((await cli('apply-db-migration')).stdout).to.contain('schema written to');
    expect(readFileSync(join(workspace.root, 'schema.sql'), 'utf8')).to.match(/phone text[\s\S]*20260101/);
    expect((await cli('redo-db-migration')).stdout).not.to.contain('schema written to');
  });

  for (const [flags, message] of [
    [['--to', 'x'], /"x" is no version/],
    [['--to', '7'], /There is no migration 7/],
    [['--steps', '0'], /whole number from 1/],
    [['--steps', '1', '--to', '20260101'], /cannot be given together/],
    [['--rehearse-from', 'stream'], /belongs to --rehearse/],
    [['--lock-timeout', '5'], /takes a duration/],
  ] as const) {
    it(`says what is wrong with ${flags.join(' ')}`, async () => {
      await open('testing');
      const { code, stderr } = await cli('apply-db-migration', ...flags);
      expect(code).to.equal(2);
      expect(stderr).to.match(message);
    });
  }
});

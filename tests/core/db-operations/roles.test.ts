import { expect } from 'chai';
import { execa } from 'execa';
import type pg from 'pg';
import { escapeIdentifier } from 'pg';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { grantDbRole, revokeDbRole, setupDbRoles, whoami } from '../../../app/core/db-operations/roles.js';
import { PermissionError } from '../../../app/core/errors.js';
import type { Level } from '../../../app/core/levels.js';
import { readLoginAccess } from '../../../app/database/catalog/login-access.js';
import { ensureSchema } from '../../../app/database/schema/ensure-schema.js';
import { findClientTools } from '../../../app/services/client-tools.js';
import { closeEngines } from '../../../app/services/database-service.js';
import { failureOf } from '../../support/failure-of.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { dropLevelRoles, dropLogins, type ScratchLogin, scratchLogin } from '../../support/scratch-login.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { testServer, testUrl } from '../../support/test-server.js';

describe('the levels of a database', () => {
  let database: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let owner: ScratchLogin;
  let anna: ScratchLogin;

  beforeEach(async () => {
    database = await scratchDatabase();
    owner = await scratchLogin('owner', 'createrole');
    anna = await scratchLogin('anna');
    await onServer((server) => server.query(`alter database ${database.name} owner to ${owner.user}`));
    workspace = scratchWorkspace();
    use(database.url);
  });
  afterEach(async () => {
    await workspace.remove();
    await database.drop();
    await dropLevelRoles(database.name);
    await dropLogins(owner, anna);
  });

  const use = (url: string) => workspace.write({ '.env.testing': `TESTING_DATABASE_URL=${url}\n` });
  const as = (login: ScratchLogin) => use(testUrl(database.name, login));
  const setup = (prefix?: string) => workspace.run(() => setupDbRoles({ env: 'testing', prefix }));
  const grant = (level: Level, login: string) => workspace.run(() => grantDbRole({ env: 'testing', level, login }));
  const revoke = (login: string) => workspace.run(() => revokeDbRole({ env: 'testing', login }));
  const who = () => workspace.run(() => whoami({ env: 'testing' }));
  const levelOf = async (login: ScratchLogin, name = database.name) =>
    withClient(testUrl(name, login), async (client) => {
      const { level } = await readLoginAccess(client);
      const { rows } = await client.query<{ level: string }>('select manage_db.current_level() as level');
      expect(rows[0]?.level, 'the rule of the database').to.equal(level);
      return level;
    });

  it('are shown with their reason, before anything is set up and afterwards', async () => {
    expect(await who()).to.deep.include({ login: testServer().user, level: 'admin', why: 'superuser', roles: [] });
    as(owner);
    expect(await who()).to.deep.include({ level: 'admin', why: 'owner of the database' });
    as(anna);
    const viewer = await who();
    expect(viewer).to.deep.include({ level: 'viewer', why: 'none of the roles of manage_db: may only look' });
    expect(viewer.may).to.include('inspect-db').and.not.include('disable-db-trigger');
    as(owner);
    await setup();
    for (const level of ['viewer', 'operator', 'admin'] as const) {
      as(owner);
      await grant(level, anna.user);
      as(anna);
      const { roles, ...seen } = await who();
      expect(seen).to.include({ level, why: `member of manage_db_${level}`, database: database.name });
      expect(roles[0]).to.include({ level: 'admin', exists: true, isServing: true, isMember: level === 'admin' });
      expect(await levelOf(anna)).to.equal(level);
    }
  });

  it('are those of the owner for a member of the owner', async () => {
    await database.query(`grant ${owner.user} to ${anna.user}`);
    as(anna);
    expect(await who()).to.include({ level: 'admin', why: `member of ${owner.user}, which owns the database` });
  });

  it('are told without touching what may not be read, so that the transaction survives', async () => {
    await withClient(database.url, (client) => ensureSchema(client));
    for (const lost of ['function manage_db.roles_serving(name)', 'table manage_db.access_roles', 'schema manage_db']) {
      await database.query(`revoke all on ${lost} from public`);
      await withClient(testUrl(database.name, anna), async (client) => {
        await client.query('begin');
        expect(await readLoginAccess(client), lost).to.deep.include({ level: 'viewer', roles: [] });
        expect((await client.query('select 1 as one')).rows).to.deep.equal([{ one: 1 }]);
      });
      if (lost !== 'schema manage_db') await database.query('select manage_db.grant_access()');
    }
  });

  it('count by the login also where a function runs with the rights of its owner', async () => {
    await setup();
    await withClient(database.url, (client) => stampAs(client, 'testing'));
    await database.query(
      `create function public.level_inside() returns text language sql security definer as 'select manage_db.current_level()'`,
    );
    await grant('operator', anna.user);
    const { rows } = await withClient(testUrl(database.name, anna), (client) =>
      client.query('select public.level_inside() as level'),
    );
    expect(rows).to.deep.equal([{ level: 'operator' }]);
  });

  it('are set up once, and again without changing anything', async () => {
    as(owner);
    const first = await setup();
    expect(first.roles).to.deep.equal([
      { level: 'viewer', role: 'manage_db_viewer', state: 'created' },
      { level: 'operator', role: 'manage_db_operator', state: 'created' },
      { level: 'admin', role: 'manage_db_admin', state: 'created' },
    ]);
    const grants = async () =>
      (
        await database.query(
          `select relname, relacl::text from pg_class where relnamespace = 'manage_db'::regnamespace order by relname`,
        )
      ).rows;
    const before = await grants();
    expect((await setup()).roles.map(({ state }) => state)).to.deep.equal(['unchanged', 'unchanged', 'unchanged']);
    expect(await grants()).to.deep.equal(before);
  });

  it('mend what somebody has undone by hand', async () => {
    await setup();
    await database.query('revoke manage_db_viewer from manage_db_operator; comment on role manage_db_admin is null');
    expect((await setup()).roles.map(({ state }) => state)).to.deep.equal(['unchanged', 'changed', 'changed']);
  });

  it('come to the same when many set them up at once', async () => {
    const results = await workspace.run(() =>
      Promise.all(Array.from({ length: 5 }, () => setupDbRoles({ env: 'testing' }))),
    );
    const states = results.map(({ roles }) => roles.map(({ state }) => state).join(' ')).sort();
    expect(states).to.deep.equal(['created created created', ...Array(4).fill('unchanged unchanged unchanged')]);
  });

  it('take other names by --prefix, and the old roles carry nothing any more', async () => {
    await setup();
    await grant('operator', anna.user);
    const { roles, replaced } = await setup('billing');
    expect(roles[1]).to.deep.equal({ level: 'operator', role: 'billing_manage_db_operator', state: 'created' });
    expect(replaced).to.deep.equal(['manage_db_viewer', 'manage_db_operator', 'manage_db_admin']);
    expect(await levelOf(anna)).to.equal('viewer');
    expect((await refusedBy(anna, 'select from manage_db.migrations')).code).to.equal('42501');
    expect((await setup()).roles[1]).to.include({ role: 'billing_manage_db_operator', state: 'unchanged' });
  });

  it('have names that PostgreSQL does not cut', async () => {
    const { roles } = await setup('ü'.repeat(40));
    expect(roles.map(({ role }) => Buffer.byteLength(role) <= 63)).to.deep.equal([true, true, true]);
    expect(roles[1]?.role).to.match(/^ü+_manage_db_operator$/);
    expect((await setup()).roles.map(({ state }) => state)).to.deep.equal(['unchanged', 'unchanged', 'unchanged']);
  });

  it('tell a login that may not create roles what an administrator must run, and that is enough', async () => {
    await database.query(`alter role ${owner.user} nocreaterole`);
    as(owner);
    const error = await failureOf(setup());
    expect(error).to.be.instanceOf(PermissionError);
    expect(error.hint).to.contain('create role "manage_db_viewer" nologin;').and.contain('run setup-db-roles again');
    expect(
      (await onServer((server) => server.query(`select from pg_roles where rolname like 'manage_db_%'`))).rowCount,
    ).to.equal(0);
    const sql = (error.details.statements as string[]).join('\n');
    await onServer((server) => server.query(sql));
    expect((await setup()).roles.map(({ role }) => role)).to.include('manage_db_operator');
    expect(await grant('operator', anna.user)).to.include({ level: 'operator' });
  });

  it('tell a login that may not grant them what an administrator must run', async () => {
    await setup();
    await database.query(`alter role ${owner.user} nocreaterole`);
    as(owner);
    const error = await failureOf(grant('operator', anna.user));
    expect(error).to.be.instanceOf(PermissionError);
    expect(error.hint).to.contain(`grant "manage_db_operator" to "${anna.user}";`);
    expect(await levelOf(anna)).to.equal('viewer');
  });

  describe('of two databases on one server', () => {
    let other: ScratchDatabase;
    let otherWorkspace: ScratchWorkspace;
    beforeEach(async () => {
      other = await scratchDatabase();
      otherWorkspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${other.url}\n` });
    });
    afterEach(async () => {
      await otherWorkspace.remove();
      await other.drop();
      await dropLevelRoles(other.name);
    });
    const setupOther = (prefix?: string) => otherWorkspace.run(() => setupDbRoles({ env: 'testing', prefix }));

    it('are carried by different roles: an admin of one is no admin of the other', async () => {
      await setup();
      const { roles } = await setupOther();
      expect(roles[2]).to.include({ role: `${other.name}_manage_db_admin`, state: 'created' });
      await grant('admin', anna.user);
      expect([await levelOf(anna), await levelOf(anna, other.name)]).to.deep.equal(['admin', 'viewer']);
      const error = await failureOf(setup(other.name));
      expect([error.code, error.message]).to.deep.equal([
        'USAGE',
        `The role ${other.name}_manage_db_viewer serves the database ${other.name}; ${database.name} needs roles of its own. Nothing was changed.`,
      ]);
    });

    it('are carried by different roles also when both are set up in the same moment', async () => {
      const [first, second] = await Promise.all([setup(), setupOther()]);
      expect(first.roles[0]?.role).not.to.equal(second.roles[0]?.role);
      expect([...first.roles, ...second.roles].map(({ state }) => state)).to.deep.equal(Array(6).fill('created'));
    });

    it('do not come along with a copy', async () => {
      await setup();
      await grant('admin', anna.user);
      const copy = `${database.name}_copy`;
      await closeEngines();
      await onServer((server) => server.query(`create database ${copy} template ${database.name}`));
      try {
        expect(await levelOf(anna, copy)).to.equal('viewer');
        use(testUrl(copy));
        const { roles, replaced } = await setup();
        expect(roles[2]?.role).to.equal(`${copy}_manage_db_admin`);
        expect(replaced).to.include('manage_db_admin');
      } finally {
        await dropDatabase(copy);
        await dropLevelRoles(copy);
      }
      expect(await levelOf(anna)).to.equal('admin');
    });

    it('follow a database that was renamed when they are set up again', async () => {
      await setupOther('renamed');
      await otherWorkspace.run(() => grantDbRole({ env: 'testing', level: 'operator', login: anna.user }));
      const name = `${other.name}_new`;
      await otherWorkspace.remove();
      await onServer((server) => server.query(`alter database ${other.name} rename to ${name}`));
      use(testUrl(name));
      try {
        expect((await setup()).roles[1]).to.include({ role: 'renamed_manage_db_operator', state: 'changed' });
        expect(await levelOf(anna, name)).to.equal('operator');
      } finally {
        await dropDatabase(name);
        await dropLevelRoles(name);
      }
    });

    it('do not pass to a stranger when the database that they were for is gone', async () => {
      await setupOther();
      await otherWorkspace.run(() => grantDbRole({ env: 'testing', level: 'admin', login: anna.user }));
      await otherWorkspace.remove();
      await other.drop();
      const { roles } = await setup();
      expect(roles[2]?.role).to.equal(`${database.name}_manage_db_admin`);
      expect(await levelOf(anna)).to.equal('viewer');
    });
  });

  it('do not break a dump that is restored where their roles do not exist', async () => {
    await setup();
    const { pgDump, psql } = await findClientTools({ serverMajor: 15, binDir: null });
    const { stdout: dump } = await execa(pgDump, [`--dbname=${database.url}`]);
    await workspace.remove();
    await database.drop();
    await dropLevelRoles(database.name);
    database = await scratchDatabase();
    await onServer((server) => server.query(`alter database ${database.name} owner to ${owner.user}`));
    await execa(psql, ['--quiet', '--no-psqlrc', `--dbname=${database.url}`], { input: dump });
    expect(await levelOf(anna)).to.equal('viewer');
    expect(await levelOf(owner)).to.equal('admin');
    use(database.url);
    const { roles } = await who();
    expect(roles.map(({ exists, isMember }) => [exists, isMember])).to.deep.equal(Array(3).fill([false, false]));
    expect((await setup()).roles.map(({ state }) => state)).to.deep.equal(['created', 'created', 'created']);
  });

  it('survive a restore of our own, and do not hinder one where their roles do not exist', async () => {
    const restore = () =>
      workspace.run(() =>
        restoreDatabase({ env: 'testing', id: 'latest', disconnectUsers: true, consent: { yes: true } }),
      );
    const grants = async () =>
      (
        await database.query(
          `select oid::regclass::text as name, relacl::text from pg_class where relnamespace = 'manage_db'::regnamespace
           union all select oid::regprocedure::text, proacl::text from pg_proc where pronamespace = 'manage_db'::regnamespace
           order by 1`,
        )
      ).rows;
    await setup();
    await grant('operator', anna.user);
    await workspace.run(() => backupDatabase({ env: 'testing' }));
    const before = await grants();
    await restore();
    expect(await levelOf(anna)).to.equal('operator');
    expect(await grants()).to.deep.equal(before);
    await closeEngines();
    await database.drop();
    await dropLevelRoles(database.name);
    await restore();
    expect(await levelOf(anna)).to.equal('viewer');
  });

  describe('of a login', () => {
    beforeEach(async () => {
      as(owner);
      await setup();
    });

    it('are one at a time, and the result says what was', async () => {
      expect(await grant('viewer', anna.user)).to.include({
        before: null,
        after: 'viewer',
        level: 'viewer',
        mayConnect: true,
      });
      expect(await grant('admin', anna.user)).to.include({ before: 'viewer', after: 'admin' });
      expect(await grant('operator', anna.user)).to.include({ before: 'admin', after: 'operator', level: 'operator' });
      expect(await grant('operator', anna.user)).to.include({ before: 'operator', after: 'operator' });
      expect(await revoke(anna.user)).to.include({ before: 'operator', after: null, level: 'viewer' });
      expect(await revoke(anna.user)).to.include({ before: null, after: null });
    });

    it('are taken away whoever has granted them', async () => {
      const boss = await scratchLogin('boss');
      await grant('admin', boss.user);
      as(boss);
      await grant('operator', anna.user);
      await database.query(`grant manage_db_operator to ${anna.user}`);
      use(database.url);
      await revoke(anna.user);
      expect(await levelOf(anna)).to.equal('viewer');
      await revoke(boss.user);
      await dropLogins(boss);
    });

    it('may be granted by admins up to operator, not by operators', async () => {
      const boss = await scratchLogin('boss');
      await grant('admin', boss.user);
      as(boss);
      expect(await grant('operator', anna.user)).to.include({ level: 'operator' });
      await database.query(`alter role ${boss.user} nocreaterole`);
      as(anna);
      expect((await failureOf(grant('operator', boss.user))).code).to.equal('PERMISSION_DENIED');
      as(owner);
      await revoke(anna.user);
      await revoke(boss.user);
      await dropLogins(boss);
    });

    it('are told with what keeps somebody above or outside', async () => {
      await database.query(`revoke connect on database ${database.name} from public`);
      expect(await grant('viewer', anna.user)).to.include({ mayConnect: false });
      expect(await grant('viewer', owner.user)).to.include({
        after: 'viewer',
        level: 'admin',
        why: 'owner of the database',
      });
      const group = await scratchLogin('nurses');
      await database.query(`alter role ${group.user} nologin; grant ${group.user} to ${anna.user}`);
      expect(await grant('operator', group.user)).to.include({ canLogin: false });
      expect(await revoke(anna.user)).to.include({
        before: 'viewer',
        after: null,
        level: 'operator',
        why: 'member of manage_db_operator',
      });
      await revoke(group.user);
      await dropLogins(group);
    });

    it('need a login that exists', async () => {
      const error = await failureOf(grant('viewer', `${anna.user.slice(0, -1)}x`));
      expect([error.code, error.hint]).to.deep.equal(['NOT_FOUND', `Did you mean ${anna.user}?`]);
      expect((await failureOf(grant('viewer', 'manage_db_admin'))).code).to.equal('USAGE');
    });

    it('need roles that serve this very database', async () => {
      await database.query(`comment on role manage_db_operator is 'something else'`);
      const error = await failureOf(grant('viewer', anna.user));
      expect([error.code, error.hint]).to.deep.equal([
        'NOT_FOUND',
        'Create them first: manage_db setup-db-roles --env testing',
      ]);
      await database.query(`comment on role manage_db_operator is 'manage_db: operator of database ${database.name}'`);
    });
  });

  it('let a viewer and an operator look at the records with psql, and change none of them', async () => {
    await setup();
    const { rows: tables } = await database.query<{ name: string }>(
      `select format('manage_db.%I', relname) as name from pg_class where relnamespace = 'manage_db'::regnamespace and relkind = 'r'`,
    );
    expect(tables.length).to.be.greaterThan(1);
    for (const level of ['viewer', 'operator'] as const) {
      await grant(level, anna.user);
      for (const { name } of tables) {
        await withClient(testUrl(database.name, anna), (client) => client.query(`select from ${name}`));
        for (const sql of [
          `delete from ${name}`,
          `truncate ${name}`,
          `insert into ${name} default values`,
          `drop table ${name}`,
        ])
          expect((await refusedBy(anna, sql)).code, `${level}: ${sql}`).to.equal('42501');
      }
      for (const sql of [
        `update manage_db.access_roles set role_name = '${anna.user}'`,
        'select manage_db.grant_access()',
        `create table manage_db.mine ()`,
      ])
        expect((await refusedBy(anna, sql)).code, `${level}: ${sql}`).to.equal('42501');
    }
  });

  it('keep the log of migrations from those who have no role, and the level from nobody', async () => {
    await setup();
    expect((await refusedBy(anna, 'select from manage_db.migrations')).code).to.equal('42501');
    expect(await levelOf(anna)).to.equal('viewer');
  });

  it('are demanded in words that say what to do', async () => {
    await setup();
    await withClient(database.url, (client) => stampAs(client, 'testing'));
    await database.query(
      `create function public.work() returns void language sql security definer as $$ select manage_db.require_level('operator', 'Working') $$`,
    );
    const { message, code, hint } = await refusedBy(anna, 'select public.work()');
    expect({ message, code, hint }).to.deep.equal({
      message: `Working needs the level operator; the login ${anna.user} has the level viewer in ${database.name}.`,
      code: '42501',
      hint: `An admin can grant it: manage_db grant-db-role operator ${anna.user}`,
    });
    await grant('operator', anna.user);
    await withClient(testUrl(database.name, anna), (client) => client.query('select public.work()'));
  });

  async function refusedBy(login: ScratchLogin, sql: string): Promise<pg.DatabaseError> {
    return withClient(testUrl(database.name, login), (client) =>
      client.query(sql).then(
        () => {
          throw new Error(`${escapeIdentifier(login.user)} could: ${sql}`);
        },
        (error: pg.DatabaseError) => error,
      ),
    );
  }
});

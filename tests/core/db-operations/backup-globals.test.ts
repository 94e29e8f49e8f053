import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { escapeIdentifier } from 'pg';
import { type BackupOptions, backupDatabase } from '../../../app/core/db-operations/backup.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';

const PASSWORD = 'a secret that nobody may read';

describe('the roles beside a backup', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  let mark: string;
  let owner: string;
  let reader: string;
  let stranger: string;
  beforeEach(async () => {
    mark = randomBytes(4).toString('hex');
    owner = `owner_${mark}`;
    reader = `"Ü"$manage_db$';\n-- ${mark}`;
    stranger = `stranger_${mark}`;
    db = await scratchDatabase(`
      create role ${owner} createdb nologin;
      create role ${id(reader)} login noinherit password '${PASSWORD}' connection limit 7 valid until '2035-01-02 03:04:05+01';
      create role ${stranger} login password '${PASSWORD}';
      create table patients (id int);
      alter table patients owner to ${owner};
      grant select on patients to ${id(reader)};
      grant ${owner} to ${id(reader)} with admin option;
      grant pg_read_all_stats to ${owner};
      grant ${owner} to ${stranger};
      comment on role ${owner} is 'it''s the owner';
      alter role ${id(reader)} set search_path = "$user", public, "a b";`);
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    await db.query(`
      alter role ${id(reader)} in database ${db.name} set work_mem = '7MB';
      alter database ${db.name} set statement_timeout = '9s';
      alter database ${db.name} owner to ${owner}`);
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  afterEach(async () => {
    await workspace.remove();
    await dropDatabase(db.name);
    await dropRoles();
  });

  const backup = async (options: BackupOptions = {}) => {
    const result = await workspace.run(() => backupDatabase({ env: 'testing', ...options }));
    const file = join(result.path, 'globals.sql');
    return { ...result, file, sql: readFileSync(file, 'utf8') };
  };
  const dropRoles = () =>
    onServer((server) => server.query(`drop role if exists ${[owner, reader, stranger].map(id).join(', ')}`));
  const everything = async () => {
    const { rows } = await onServer((server) =>
      server.query(
        `select r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolconnlimit,
          r.rolvaliduntil, r.rolpassword, shobj_description(r.oid, 'pg_authid') as comment,
          (select array_agg(m.roleid::regrole::text || m.admin_option order by 1) from pg_auth_members m where m.member = r.oid) as member,
          (select array_agg(s.setdatabase::text || s.setconfig::text order by s.setdatabase) from pg_db_role_setting s where s.setrole = r.oid) as settings,
          (select setconfig from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where s.setrole = 0 and d.datname = $2) as database
        from pg_authid r where r.rolname = any ($1) order by 1`,
        [[owner, reader], db.name],
      ),
    );
    return rows;
  };

  it('bring them back as they were, to a server that has none of them', async () => {
    const before = await everything();
    const { file, sql, manifest } = await backup();
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    expect(manifest.files.map(({ path }) => path)).to.include('globals.sql');
    expect(manifest.leftOut).not.to.include('role passwords');
    expect(sql).to.include('SCRAM-SHA-256$').and.not.include(PASSWORD).and.not.include(stranger);

    await db.query(`
      alter database ${db.name} owner to postgres;
      alter database ${db.name} reset all;
      alter role ${id(reader)} in database ${db.name} reset all;
      drop table patients`);
    await dropRoles();
    await db.query('drop schema manage_db cascade');
    expect(await everything()).to.deep.equal([]);
    // twice: what is there already is left alone
    for (let times = 0; times < 2; times++) await onServer((server) => server.query(sql));
    expect(await everything()).to.deep.equal(before);
  });

  it('leave a role that exists as it is, and do without the database', async () => {
    const { sql } = await backup();
    await db.query(`alter role ${id(reader)} nologin connection limit 3`);
    await workspace.remove();
    await dropDatabase(db.name);
    await onServer((server) => server.query(sql));
    const [, changed] = (await everything()).sort(
      (a, b) => Number(a.rolname === reader) - Number(b.rolname === reader),
    );
    expect(changed).to.include({ rolname: reader, rolcanlogin: false, rolconnlimit: 3 });
  });

  it('have no passwords when they are not wanted, or when the login may not read them', async () => {
    const without = await backup({ rolePasswords: false });
    expect(without.sql).not.to.include('SCRAM').and.not.include('password ');
    expect(without.manifest.leftOut).to.include('role passwords');

    await db.query(`alter role ${id(reader)} password 'plain'`);
    const url = new URL(db.url);
    url.username = encodeURIComponent(reader);
    url.password = 'plain';
    workspace.write({ '.env.testing': `TESTING_DATABASE_URL='${url.href}'\n` });
    await db.query(`
      grant usage on schema manage_db to ${id(reader)};
      grant select on all tables in schema public, manage_db to ${id(reader)};
      grant select on all sequences in schema public, manage_db to ${id(reader)}`);
    const { sql, manifest } = await backup();
    expect(sql).to.include(owner).and.not.include('SCRAM');
    expect(manifest.leftOut).to.include('role passwords');
  });

  it('come without passwords by a flag of the command', async () => {
    const { code, stdout } = await workspace.cli([
      'create-backup',
      '--env',
      'testing',
      '--json',
      '--no-role-passwords',
    ]);
    expect(code, stdout).to.equal(0);
    expect(JSON.parse(stdout).data.manifest.leftOut).to.include('role passwords');
  });
});

const id = escapeIdentifier;

import { expect } from 'chai';
import { getConfig, getDatabaseUrlForEnv } from '../../app/config/db-config.js';
import { getDbSession } from '../../app/services/database-service.js';
import { setupEnvironment } from '../../app/services/setup-environment.js';
import { type ScratchDatabase, scratchDatabase } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { withVariables } from '../support/variables.js';

describe('setupEnvironment', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await scratchDatabase('create table precious (id int)');
    workspace = scratchWorkspace();
  });
  after(async () => {
    await workspace.remove();
    await db.drop();
  });

  const inHost = <T>(variables: Record<string, string>, fn: () => Promise<T>) =>
    withVariables(variables, () => workspace.run(fn));

  it('gives a host application what it reads, and takes away what would contradict', async () => {
    await inHost({ DEV_DATABASE_URL: db.url, PGHOSTADDR: '192.0.2.1', PGOPTIONS: '-c x' }, async () => {
      const { environment, variables } = await setupEnvironment();
      expect(environment).to.equal('development');
      expect(variables).to.include.members(['DATABASE_URL', 'PGHOST', 'PGPASSWORD', 'MANAGE_DB_ENV']);
      expect(process.env).to.include({ DATABASE_URL: db.url, PGDATABASE: db.name, MANAGE_DB_ENV: 'development' });
      expect(process.env).not.to.have.any.keys('PGHOSTADDR', 'PGOPTIONS');
    });
  });

  it('never makes its database that of another environment, here or in a child process', async () => {
    await inHost({ PRODUCTION_DATABASE_URL: db.url }, async () => {
      await setupEnvironment('production');
      expect(await getDatabaseUrlForEnv('production')).to.contain(db.name);
      for (const env of ['development', 'testing']) {
        expect((await getConfig(env)).connection, env).to.include({ server: 'embedded' });
      }
      const child = await workspace.cli(['show-config', '--env', 'testing', '--json'], {
        env: process.env as Record<string, string>,
      });
      expect(child.stdout).not.to.contain(db.name);
      const { rows } = await getDbSession((s) => s.query<{ name: string }>('select current_database() as name'));
      expect(rows).to.deep.equal([{ name: db.name }]);
    });
  });
});

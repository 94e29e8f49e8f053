import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { BackupResult } from '../../../app/core/db-operations/backup.js';
import { listBackups } from '../../../app/core/db-operations/list-backups.js';
import { type PruneBackupsOptions, planPruning, pruneBackups } from '../../../app/core/db-operations/prune-backups.js';
import { verifyBackup } from '../../../app/core/db-operations/verify-backup.js';
import { withKillSwitchOverride } from '../../../app/core/safety/override.js';
import { processMark, processSpace } from '../../../app/services/embedded/process-mark.js';
import { type BackupWorkspace, backupWorkspace } from '../../support/backup-workspace.js';
import { failureOf } from '../../support/failure-of.js';
import { withClient } from '../../support/scratch-database.js';
import { stampAs } from '../../support/stamp.js';

const CONFIRM = 'EXECUTE PRUNE_BACKUPS ON';

describe('prune-backups', () => {
  let workspace: BackupWorkspace;
  let original: BackupResult;
  let folder: string;

  before(async () => {
    workspace = await backupWorkspace();
    folder = join(workspace.root, 'backups', 'testing');
  });
  after(() => workspace.remove());
  beforeEach(async () => {
    rmSync(join(workspace.root, 'backups'), { recursive: true, force: true });
    original = await workspace.backup({ format: 'custom' });
  });

  it('wants to be told what to keep', async () => {
    for (const rules of [{}, { keepLast: 0 }, { keepDaily: -1 }, { keepWeekly: 1.5 }, { keepMonthly: Number.NaN }]) {
      expect((await failureOf(prune(rules))).code, JSON.stringify(rules)).to.equal('USAGE');
      expect((await failureOf(workspace.run(() => planPruning(rules)))).code).to.equal('USAGE');
    }
    const both = workspace.run(() => planPruning({ env: 'testing', all: true, keepLast: 1 }));
    expect((await failureOf(both)).code).to.equal('USAGE');
    expect(ids()).to.deep.equal([original.id]);
  });

  it('removes what its plan says, and nothing else', async () => {
    const old = ['2025-01-01', '2025-01-02', '2025-02-01'].map(aged);
    writeFileSync(join(folder, 'README'), 'a file');
    mkdirSync(join(folder, 'not-a-backup'));
    const [plan] = await workspace.run(() => planPruning({ env: 'testing', keepLast: 1, keepMonthly: 3 }));
    expect(plan?.removed.map(({ id }) => id)).to.deep.equal([old[0]]);
    expect(ids()).to.have.length(4);

    const { environments } = await prune({ keepLast: 1, keepMonthly: 3 });
    expect(environments[0]?.removed.map(({ id }) => id)).to.deep.equal([old[0]]);
    expect(environments[0]?.removedBytes).to.be.greaterThan(0);
    expect(ids()).to.deep.equal([old[1], old[2], original.id].sort());
    expect(readdirSync(folder)).to.include.members(['README', 'not-a-backup']);
    expect(readdirSync(folder).filter((name) => name.endsWith('.partial') || name.includes('lock'))).to.deep.equal([]);
  });

  it('keeps the only verified one, and gives it up only for a newer one that is verified', async () => {
    const [older = '', newer = ''] = ['2025-01-01', '2025-01-02'].map(aged);
    await workspace.run(() => verifyBackup({ env: 'testing', id: older }));
    await prune({ keepLast: 1 });
    expect(ids()).to.deep.equal([older, original.id].sort());
    expect(newer).not.to.equal('');
    await workspace.run(() => verifyBackup({ env: 'testing', id: original.id }));
    await prune({ keepLast: 1 });
    expect(ids()).to.deep.equal([original.id]);
  });

  it('does not take a record about another manifest for a verification', async () => {
    const [older = ''] = ['2025-01-01'].map(aged);
    await workspace.run(() => verifyBackup({ env: 'testing', id: older }));
    const manifest = join(folder, older, 'manifest.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"label": null', '"label": "x"'));
    await prune({ keepLast: 1 });
    expect(ids()).to.deep.equal([original.id]);
  });

  it('leaves a backup that it could not remove wholly as none, and the next one sweeps it', async () => {
    // what a crash between the renaming and the removing leaves
    const partial = join(folder, `${aged('2025-01-01')}.partial`);
    cpSync(partial.replace('.partial', ''), partial, { recursive: true });
    rmSync(partial.replace('.partial', ''), { recursive: true });
    sign(partial, { pid: process.pid, run: 'another run of that pid', space: processSpace() });
    expect((await list()).map(({ state }) => state)).to.deep.equal(['complete', 'incomplete']);
    const { environments } = await prune({ keepLast: 1 });
    expect(environments[0]?.swept).to.have.length(1);
    expect(existsSync(partial)).to.equal(false);
  });

  it('is not stopped by a backup that somebody else removes at the same time', async () => {
    ['2025-01-01', '2025-01-02', '2025-01-03', '2025-01-04'].map(aged);
    const results = await Promise.all([prune({ keepLast: 1 }), prune({ keepLast: 1 }), prune({ keepLast: 2 })]);
    const removed = results.flatMap(({ environments }) => environments.flatMap((one) => one.removed));
    expect(ids()).to.include(original.id);
    expect(new Set(removed.map(({ id }) => id)).size).to.equal(removed.length);
  });

  it('says what is left when it is interrupted', async () => {
    ['2025-01-01', '2025-01-02'].map(aged);
    const controller = new AbortController();
    const stopped = prune({ keepLast: 1, signal: controller.signal, onProgress: () => controller.abort() });
    const error = await failureOf(stopped);
    expect(error).to.include({ code: 'INTERRUPTED' });
    expect(error.message).to.match(/Removed before: \S+\.$/);
    expect((await list()).map(({ state }) => state)).to.deep.equal(['complete', 'complete']);
  });

  it('passes the gate: a reason and the typed text where the environment is protected, and never through --all', async () => {
    const { database } = workspace;
    const url = readFileSync(join(workspace.root, '.env.testing'), 'utf8');
    workspace.write({ '.env.production': url.replace('TESTING_', 'PRODUCTION_') });
    const production = join(workspace.root, 'backups', 'production');
    try {
      await withClient(database.url, (client) => stampAs(client, 'production'));
      aged('2025-01-01');
      cpSync(folder, production, { recursive: true });
      for (const id of readdirSync(production)) rewrite(join(production, id), { environment: 'production' });

      const rules = { keepLast: 1 };
      expect((await failureOf(prune({ ...rules, env: 'production' }))).code).to.equal('KILL_SWITCH');
      const overridden = (more: Partial<PruneBackupsOptions>) =>
        withKillSwitchOverride({}, () => prune({ ...rules, ...more }));
      expect((await failureOf(overridden({ env: 'production' }))).code).to.equal('CONFIRMATION_REQUIRED');
      expect((await failureOf(overridden({ env: 'testing' }))).code).to.equal('PROTECTED_ENVIRONMENT');

      const consent = { yes: true, confirm: `${CONFIRM} ${database.name}`, reason: 'retention' };
      const { environments, refused } = await overridden({ all: true, env: undefined as never, consent });
      expect(environments).to.deep.equal([]);
      expect(refused.map(({ environment, error }) => [environment, error.code])).to.deep.equal([
        ['production', 'CONFIRMATION_REQUIRED'],
        ['testing', 'PROTECTED_ENVIRONMENT'],
      ]);
      expect(readdirSync(production)).to.have.length(2);

      await overridden({ env: 'production', consent });
      expect(readdirSync(production)).to.have.length(1);
    } finally {
      await withClient(database.url, (client) => stampAs(client, 'testing'));
      rmSync(join(workspace.root, '.env.production'));
    }
  });

  describe('on the command line', () => {
    it('shows a plan, and removes only with --yes', async () => {
      const old = aged('2025-01-01');
      const plan = await workspace.cli(['prune-backups', '--keep-last', '1', '--env', 'testing']);
      expect(plan.code, plan.stderr).to.equal(0);
      expect(plan.stdout).to.match(new RegExp(`remove +${old} +\\d+ days ago .* no rule keeps it`));
      expect(plan.stdout).to.match(new RegExp(`keep +${original.id} .* one of the last 1; the newest`));
      expect(plan.stdout).to.contain('Nothing was removed yet');
      expect(ids()).to.have.length(2);
      const dry = await workspace.cli([
        'prune-backups',
        '--keep-last=1',
        '--env=testing',
        '--yes',
        '--dry-run',
        '--json',
      ]);
      expect(dry.json().data.isDryRun).to.equal(true);
      expect(ids()).to.have.length(2);

      const done = await workspace.cli(['prune-backups', '--keep-last', '1', '--env', 'testing', '--yes']);
      expect(done.code, done.stderr).to.equal(0);
      expect(done.stdout).to.match(/testing: removed 1 backup \(.* kept 1/);
      expect(ids()).to.deep.equal([original.id]);
      const log = await workspace.cli(['show-operation-log', '--env', 'testing', '--json']);
      expect(log.stdout).to.contain('prune-backups');
    });

    it('refuses to guess what to keep', async () => {
      for (const args of [[], ['--keep-last', '0'], ['--keep-last', 'all'], ['--keep-daily', '-3']]) {
        const refused = await workspace.cli(['prune-backups', '--env', 'testing', '--yes', ...args]);
        expect(refused.code, args.join(' ')).to.equal(2);
      }
      expect(ids()).to.deep.equal([original.id]);
    });
  });

  describe('the sweep', () => {
    it('removes what a killed process has left, with the next create-backup, and says so', async () => {
      const program = `
        import { backupDatabase } from '${new URL('../../../app/core/db-operations/backup.ts', import.meta.url).href}';
        await backupDatabase({ env: 'testing', onProgress: ({ step }) => step.startsWith('dumping') && process.kill(process.pid, 'SIGKILL') });`;
      const child = spawn(process.execPath, ['--import', 'tsx/esm', '--input-type=module', '--eval', program], {
        env: { ...process.env, MANAGE_DB_WORKSPACE: workspace.root },
      });
      await once(child, 'exit');
      const left = readdirSync(folder).filter((name) => name.endsWith('.partial'));
      expect(left).to.have.length(1);
      expect((await list()).filter(({ state }) => state === 'incomplete').map(({ worker }) => worker)).to.deep.equal([
        'gone',
      ]);

      const said: string[] = [];
      const { path } = await workspace.backup({ format: 'plain', onProgress: ({ step }) => said.push(step) });
      expect(readdirSync(folder).filter((name) => name.endsWith('.partial'))).to.deep.equal([]);
      expect(said.join()).to.contain(`what a killed process has left of backup ${left[0]?.replace('.partial', '')}`);

      expect(readdirSync(path).filter((name) => name.startsWith('.'))).to.deep.equal([]);
    });

    it("leaves alone what somebody makes, what is of another machine, and what is too young to be nobody's", async () => {
      const mine = { pid: process.pid, run: processMark(process.pid), space: processSpace() };
      const partials = {
        '20250101T000000Z-aaaaaa': mine,
        '20250102T000000Z-bbbbbb': { ...mine, space: 'another host' },
        '20250103T000000Z-cccccc': null,
        '20250104T000000Z-dddddd': 'broken',
      };
      for (const [id, mark] of Object.entries(partials)) {
        mkdirSync(join(folder, `${id}.partial`));
        if (mark !== null) sign(join(folder, `${id}.partial`), mark);
      }
      const { environments } = await prune({ keepLast: 1 });
      expect(environments[0]?.swept).to.deep.equal([]);
      expect(environments[0]?.kept.map(({ worker }) => worker)).to.deep.equal([
        null,
        'unknown',
        'unknown',
        'elsewhere',
        'running',
      ]);

      const nobodys = join(folder, '20250103T000000Z-cccccc.partial');
      const longAgo = new Date(Date.now() - 25 * 60 * 60 * 1000);
      utimesSync(nobodys, longAgo, longAgo);
      expect((await prune({ keepLast: 1 })).environments[0]?.swept).to.deep.equal(['20250103T000000Z-cccccc']);
      expect(readdirSync(folder).filter((name) => name.endsWith('.partial'))).to.have.length(3);
    });

    it('does not touch a partial while its backup is being made', async () => {
      const swept: Promise<unknown>[] = [];
      const made = await workspace.backup({
        onProgress: ({ step }) => {
          if (step.startsWith('dumping') && swept.length === 0) swept.push(prune({ keepLast: 1 }));
        },
      });
      expect(swept).to.have.length(1);
      expect(await Promise.all(swept)).to.have.length(1);
      await workspace.run(() => verifyBackup({ env: 'testing', id: made.id }));
    });
  });

  /** A copy of the backup, made at noon of `day`. */
  function aged(day: string): string {
    const id = `${day.replaceAll('-', '')}T120000Z-${String(ids().length).padStart(6, '0')}`;
    cpSync(original.path, join(folder, id), { recursive: true });
    chmodSync(join(folder, id), 0o700);
    rewrite(join(folder, id), { id, createdAt: `${day}T12:00:00.000Z` });
    return id;
  }

  function prune(options: Partial<PruneBackupsOptions>) {
    const all = { consent: { yes: true }, ...(options.all ? {} : { env: 'testing' }), ...options };
    return workspace.run(() => pruneBackups(all));
  }

  function list() {
    return workspace.run(() => listBackups({ env: 'testing' }));
  }

  function ids(): string[] {
    return readdirSync(folder)
      .filter((name) => /Z-[0-9a-f]{6}$/.test(name))
      .sort();
  }
});

function rewrite(path: string, changes: Record<string, unknown>): void {
  const file = join(path, 'manifest.json');
  const manifest = { ...JSON.parse(readFileSync(file, 'utf8')), ...changes };
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  writeFileSync(file, text);
  writeFileSync(join(path, 'manifest.sha256'), `${createHash('sha256').update(text).digest('hex')}  manifest.json\n`);
}

function sign(path: string, mark: unknown): void {
  writeFileSync(join(path, '.work.json'), JSON.stringify(mark));
}

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import pg from 'pg';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';
import { stampAs } from '../support/stamp.js';
import { manageDbOnTerminal, needsTerminal, type Terminal, type TerminalOptions } from '../support/terminal.js';
import { testUrl } from '../support/test-server.js';
import { until } from '../support/until.js';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const CTRL_Z = '\u001a';
const DROP = ['drop-all-tables', '--env', 'testing'];
const DROP_PRODUCTION = ['drop-all-tables', '--env', 'production'];

describe('a person at a terminal', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async function () {
    needsTerminal(this);
    db = await scratchDatabase('create table visits (id int)');
    workspace = scratchWorkspace();
  });
  afterEach(async () => {
    await workspace?.remove();
    await db?.drop();
  });

  const hasVisits = async (): Promise<boolean> =>
    (await db.query(`select from pg_catalog.pg_class where relname = 'visits'`)).rowCount === 1;
  const isNow = async (environment: 'testing' | 'production'): Promise<void> => {
    workspace.write({ [`.env.${environment}`]: `DATABASE_URL=${db.url}` });
    await withClient(db.url, (client) => stampAs(client, environment));
  };
  const atTerminal = (args: readonly string[], options: Partial<TerminalOptions> = {}): Terminal =>
    manageDbOnTerminal(args, { cwd: workspace.root, ...options });

  describe('whose database is not protected', () => {
    beforeEach(() => isNow('testing'));

    it('is asked whether to go on, and y lets it happen', async () => {
      const terminal = atTerminal(DROP);
      await terminal.shows(`can destroy what is in ${db.name} of testing.`);
      await terminal.shows('Go on? (y/N)');
      expect(await hasVisits()).to.equal(true);
      terminal.type('y\r');
      const { code, screen } = await terminal.end();
      expect([code, screen.includes('dropped 1 table')]).to.deep.equal([0, true]);
      expect(await hasVisits()).to.equal(false);
    });

    it('is asked before a reset, too', async () => {
      const terminal = atTerminal(['reset-database', '--env', 'testing']);
      await terminal.shows('Go on? (y/N)');
      terminal.type('yes\r');
      expect((await terminal.end()).code).to.equal(0);
      expect(await hasVisits()).to.equal(false);
    });

    for (const [answer, keys] of [
      ['n', 'n\r'],
      ['nothing but Enter', '\r'],
    ] as const) {
      it(`changes nothing with ${answer}, and exits with 2`, async () => {
        const terminal = atTerminal(DROP);
        await terminal.shows('Go on?');
        terminal.type(keys);
        const { code, screen } = await terminal.end();
        expect(code).to.equal(2);
        expect(screen).to.contain('CONFIRMATION_REQUIRED').and.contain('declined; nothing was changed');
        expect(await hasVisits()).to.equal(true);
      });
    }

    it('is asked again when the answer is neither', async () => {
      const terminal = atTerminal(DROP);
      await terminal.shows('Go on?');
      terminal.type('maybe\r');
      await terminal.shows('You must answer');
      terminal.type('\u007f'.repeat(5));
      terminal.type('n\r');
      expect((await terminal.end()).code).to.equal(2);
      expect(await hasVisits()).to.equal(true);
    });

    it('has not answered by what was typed before the question', async () => {
      const terminal = atTerminal(DROP);
      terminal.type('y\r');
      await terminal.shows('Go on?');
      terminal.type('\r');
      expect((await terminal.end()).code).to.equal(2);
      expect(await hasVisits()).to.equal(true);
    });

    for (const [name, keys] of [
      ['Ctrl-C', CTRL_C],
      ['Ctrl-D', CTRL_D],
    ] as const) {
      it(`leaves by ${name}, with nothing changed and the terminal as it was`, async () => {
        const terminal = atTerminal(DROP, { line: (command) => `${command}; echo "exit code $?"; stty -a` });
        await terminal.shows('Go on?');
        terminal.type(keys);
        const { raw, screen } = await terminal.end();
        expect(screen).to.contain('exit code 130').and.contain('Interrupted at the question; nothing was changed.');
        expect(screen).not.to.contain('Stopping');
        expect(screen).to.match(/ icanon .* echo /s);
        expect(raw.lastIndexOf('\u001b[?25h')).to.be.at.least(raw.lastIndexOf('\u001b[?25l'));
        expect(await hasVisits()).to.equal(true);
      });
    }

    it('is left alone when a signal ends the command at the question', async () => {
      const terminal = atTerminal(DROP, {
        line: (command) => `sh -c 'echo $$ > pid; exec "$@"' - ${command}; echo "exit code $?"; stty -a`,
      });
      await terminal.shows('Go on?');
      process.kill(Number(readFileSync(join(workspace.root, 'pid'), 'utf8')), 'SIGTERM');
      const { screen } = await terminal.end();
      expect(screen)
        .to.contain('exit code 130')
        .and.contain('Interrupted at the question')
        .and.match(/ icanon .* echo /s);
      expect(screen).not.to.contain('Stopping');
      expect(await hasVisits()).to.equal(true);
    });

    it('can answer after Ctrl-Z and fg', async () => {
      const terminal = atTerminal(DROP, {
        line: (command) => `set -m; ${command}; echo "stopped"; read go; fg > /dev/null; echo "exit code $?"`,
      });
      await terminal.shows('Go on?');
      terminal.type(CTRL_Z);
      await terminal.shows('stopped');
      terminal.type('\n');
      // the shell gives the terminal back in its own time: keys that came too early are lost
      const hurry = setInterval(() => terminal.type('y\r'), 500);
      const { screen } = await terminal.end();
      clearInterval(hurry);
      expect(screen).to.contain('exit code 0');
      expect(await hasVisits()).to.equal(false);
    });

    it('does not wait for ever when the terminal goes away, and nothing is changed', async () => {
      const terminal = atTerminal(DROP, {
        line: (command) => `trap '' HUP; ${command}; echo "exit code $?" > ended.txt`,
      });
      await terminal.shows('Go on?');
      terminal.hangUp();
      const ended = join(workspace.root, 'ended.txt');
      await until('the child has ended', () => existsSync(ended) && readFileSync(ended, 'utf8').endsWith('\n'));
      // not always 130: Node itself aborts at its end when it cannot reset a terminal that is gone
      expect(readFileSync(ended, 'utf8')).to.match(/^exit code (130|134)\n$/);
      expect(await hasVisits()).to.equal(true);
    });

    it('is asked for a reason where one is missing, though nothing needs to be typed', async () => {
      const terminal = atTerminal(['kill-switch', 'engage', '--env', 'testing']);
      await terminal.shows('Go on?');
      terminal.type('y\r');
      await terminal.shows('Why?');
      terminal.type('corrupt invoices\r');
      expect((await terminal.end()).code).to.equal(0);
      const { rows } = await db.query('select reason from manage_db.kill_switch');
      expect(rows).to.deep.equal([{ reason: 'corrupt invoices' }]);
    });

    it('is asked on standard error: what goes into a pipe or a file stays clean', async () => {
      const terminal = atTerminal(DROP, { line: (command) => `${command} > out.txt` });
      await terminal.shows('Go on?');
      terminal.type('y\r');
      expect((await terminal.end()).code).to.equal(0);
      expect(readFileSync(join(workspace.root, 'out.txt'), 'utf8')).to.match(/^✓ dropped 1 table\n/);
    });

    it('sees colours, or none', async () => {
      const colours = '\u001b[3';
      for (const [args, env, expected] of [
        [[], {}, true],
        [['--no-color'], {}, false],
        [[], { NO_COLOR: '1' }, false],
      ] as const) {
        const terminal = atTerminal([...DROP, ...args], { env });
        await terminal.shows('Go on?');
        terminal.type('n\r');
        const { raw } = await terminal.end();
        expect(raw.includes(colours), `${args} ${JSON.stringify(env)}`).to.equal(expected);
      }
    });

    it('is asked nothing when the flags have said it', async () => {
      const { code, screen } = await atTerminal([...DROP, '--yes']).end();
      expect([code, screen.includes('Go on?')]).to.deep.equal([0, false]);
    });
  });

  describe('whose database is protected', () => {
    beforeEach(() => isNow('production'));

    const overridden = { env: { KILL_SWITCH_OVERRIDE: 'true' } };
    const text = (): string => `EXECUTE DROP_ALL_TABLES ON ${db.name}`;

    it('types the text and a reason, which is kept', async () => {
      const terminal = atTerminal(DROP_PRODUCTION, overridden);
      await terminal.shows(`To go on, type ${text()}`);
      terminal.type(`${text()}\r`);
      await terminal.shows('Why?');
      expect(await hasVisits()).to.equal(true);
      terminal.type('   \r');
      await terminal.shows('Say why');
      terminal.type('ticket 4711\r');
      expect((await terminal.end()).code).to.equal(0);
      expect(await hasVisits()).to.equal(false);
      const { rows } = await db.query(`select reason from manage_db.operation_log where event = 'succeeded'`);
      expect(rows).to.deep.equal([{ reason: 'ticket 4711' }]);
    });

    it('is not asked for a reason that was given', async () => {
      const terminal = atTerminal([...DROP_PRODUCTION, '--reason', 'ticket 4711'], overridden);
      await terminal.shows('To go on, type');
      terminal.type(`${text()}\r`);
      const { code, screen } = await terminal.end();
      expect([code, screen.includes('Why?')]).to.deep.equal([0, false]);
    });

    it('may mend a mistyped text', async () => {
      const terminal = atTerminal([...DROP_PRODUCTION, '--reason', 'ticket 4711'], overridden);
      await terminal.shows('To go on, type');
      terminal.type(`${text().slice(0, -1)}\r`);
      await terminal.shows('2 tries left');
      terminal.type(`${text().slice(-1)}\r`);
      expect((await terminal.end()).code).to.equal(0);
      expect(await hasVisits()).to.equal(false);
    });

    it('has declined after three wrong texts', async () => {
      const terminal = atTerminal(DROP_PRODUCTION, overridden);
      await terminal.shows('To go on, type');
      terminal.type(`${text().toLowerCase()}\r`);
      await terminal.shows('2 tries left');
      terminal.type('\r');
      await terminal.shows('one try left');
      terminal.type('\r');
      const { code, screen } = await terminal.end();
      expect(code).to.equal(2);
      expect(screen).to.contain('declined; nothing was changed').and.not.contain('Why?');
      expect(await hasVisits()).to.equal(true);
    });

    it('leaves by Ctrl-C also at the second question', async () => {
      const terminal = atTerminal(DROP_PRODUCTION, overridden);
      await terminal.shows('To go on, type');
      terminal.type(`${text()}\r`);
      await terminal.shows('Why?');
      terminal.type(CTRL_C);
      expect((await terminal.end()).code).to.equal(130);
      expect(await hasVisits()).to.equal(true);
    });

    it('is asked nothing when the flags have said it', async () => {
      const flags = ['--confirm', text(), '--reason', 'ticket 4711'];
      const { code, screen } = await atTerminal([...DROP_PRODUCTION, ...flags], overridden).end();
      expect([code, screen.includes('type EXECUTE')]).to.deep.equal([0, false]);
    });

    it('is asked nothing where no answer helps', async () => {
      const { code, screen } = await atTerminal(DROP_PRODUCTION).end();
      expect([code, screen.includes('To go on')]).to.deep.equal([2, false]);
      expect(screen).to.contain('KILL_SWITCH');
    });
  });

  it('sees the name of a database as it is, and not what it would do to the screen', async () => {
    const name = `evil\u001b[2Jowned\u0007\u202e ${db.name}`;
    await onServer((server) => server.query(`create database ${pg.escapeIdentifier(name)}`));
    try {
      const url = testUrl(name);
      await withClient(url, (client) => stampAs(client, 'production'));
      const terminal = atTerminal([...DROP_PRODUCTION, '--reason', 'ticket 4711'], {
        env: { PRODUCTION_DATABASE_URL: url, KILL_SWITCH_OVERRIDE: 'true' },
      });
      const shown = `EXECUTE DROP_ALL_TABLES ON evil\\u{1b}[2Jowned\\u{7}\\u{202e} ${db.name}`;
      await terminal.shows('can destroy what is in evil\\u{1b}[2Jowned');
      await terminal.shows(`To go on, type ${shown}`);
      terminal.type(`${shown}\r`);
      const { code, raw } = await terminal.end();
      expect(code).to.equal(0);
      const question = raw.slice(raw.indexOf('can destroy'));
      expect(question).not.to.contain('\u001b[2J').and.not.to.contain('\u202e');
    } finally {
      await workspace.remove();
      await dropDatabase(name);
    }
  });
});

describe('where nobody can answer', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await scratchDatabase('create table visits (id int)');
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({ '.env.testing': `DATABASE_URL=${db.url}` });
  });
  afterEach(async () => {
    await workspace.remove();
    await db.drop();
  });

  const HANGING_MS = 100_000;
  const visits = async (): Promise<number | null> =>
    (await db.query(`select from pg_catalog.pg_class where relname = 'visits'`)).rowCount;

  for (const input of ['empty', 'open pipe'] as const) {
    it(`is refused at once, with the flags to give (standard input: ${input})`, async () => {
      const { code, stderr } = await workspace.cli(DROP, { input, timeoutMs: HANGING_MS });
      expect(code).to.equal(2);
      expect(stderr).to.contain('the same again with --env testing --yes').and.not.contain('Go on?');
      expect(await visits()).to.equal(1);
    });
  }

  const cases: readonly (readonly [string, (command: string) => string, Readonly<Record<string, string>>])[] = [
    ['a program reads the answer', (command: string) => `${command} --json`, {}],
    ['standard input is no terminal', (command: string) => `${command} < /dev/null`, {}],
    [
      'standard error is no terminal',
      (command: string) => `${command} 2> errors.txt; code=$?; cat errors.txt; exit $code`,
      {},
    ],
    ['nobody watches', (command: string) => command, { CI: 'true' }],
    ['the terminal cannot draw a line anew', (command: string) => command, { TERM: 'dumb' }],
  ];
  for (const [why, line, env] of cases) {
    it(`is refused at once on a terminal where ${why}`, async function () {
      needsTerminal(this);
      const options = { cwd: workspace.root, line, env, timeoutMs: HANGING_MS };
      const { code, screen } = await manageDbOnTerminal(DROP, options).end();
      expect(code, screen).to.equal(2);
      expect(screen).to.contain('the same again with --env testing --yes').and.not.contain('Go on?');
      expect(await visits()).to.equal(1);
    });
  }
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import pg from 'pg';
import { readMaskingSalt } from '../../app/config/masking-settings.js';
import { type ScratchDatabase, scratchDatabase } from '../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';

const TABLES = `
  create schema "Ärzte";
  create table patients (id int primary key, vorname text, "E-Mail" varchar(60) unique not null, "geburtsdatum" date, telefon text, iban varchar(34),
    bemerkung text, passwort text not null, code text, mood int, active boolean, created_at timestamptz, search tsvector, contact text);
  create table "Ärzte"."Besuche" (id uuid primary key, patient_id int not null references patients, mail varchar(60) references patients ("E-Mail"), at date, ip inet);
  create table patient_sessions (id uuid primary key, patient_id int not null references patients, started_at timestamptz);
  insert into patients select n, 'Änne', 'anna' || n || '@canary.test', '2000-01-01', '+49 1', 'DE', 'canary', 'x', 'canary' || n % 3, n, true, now(), 'canary', 'x' || n || '@canary.test'
    from generate_series(1, 200) n;
  analyze`;

describe('masking on the command line', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await scratchDatabase(TABLES);
  });
  after(() => db.drop());
  beforeEach(() => {
    workspace = scratchWorkspace({ '.env.testing': `DATABASE_URL=${db.url}\n` });
  });
  afterEach(() => workspace.remove());

  const masking = (...args: string[]) => workspace.cli(['masking', ...args, '--env', 'testing']);
  const rules = () => readFileSync(join(workspace.root, 'masking.yaml'), 'utf8');

  it('proposes rules from names, types and statistics, without a value in them', async () => {
    const { code, stdout } = await masking('init');
    expect([code, stdout.split('\n')[0]]).to.deep.equal([
      0,
      '✓ masking.yaml: 22 columns of 3 tables, 3 of them to decide',
    ]);
    const lines = rules()
      .split('\n')
      .map((line) => line.replace(/ +#.*/, '').trim());
    expect(lines).to.include.members([
      'public.patients:',
      'id: keep',
      'vorname: name',
      'E-Mail: email',
      'geburtsdatum: { date-shift: id }',
      'telefon: phone',
      'iban: id-hash',
      'bemerkung: free-text',
      'passwort: { fixed: "!" }',
      'code:',
      'mood:',
      'created_at: keep',
      'search: null',
      'contact: email',
      `'"Ärzte"."Besuche"':`,
      'mail: email',
      'ip: null',
      'patient_id: keep',
      'started_at: { date-shift: patient_id }',
      'id: id-hash',
    ]);
    expect(rules()).not.to.match(/canary|Änne/);
    expect(rules()).to.contain('# holds addresses').and.contain('3 different values');
  });

  it('proposes and reads back rules for every name that PostgreSQL allows', async () => {
    const names = [
      'a b',
      'null',
      'keep',
      '#',
      'x: y',
      "it's",
      'say "x"',
      '- x',
      '{a}',
      '1',
      'true',
      '*x',
      '日本',
      'line\nbreak',
      'tab\t',
      '\u2028',
      ' ',
      '<<',
      '\\',
    ];
    const long = 'a name of two lines that is long enough\nto be broken by those who write YAML';
    const own = await scratchDatabase(
      `create table ${pg.escapeIdentifier(long)} (${names.map((name) => `${pg.escapeIdentifier(name)} boolean`).join(', ')})`,
    );
    workspace.write({ '.env.testing': `DATABASE_URL=${own.url}\n` });
    try {
      expect((await masking('init')).code).to.equal(0);
      const { ok, masked, columns } = (await masking('check', '--json')).json().data;
      expect({ ok, masked, columns }).to.deep.equal({ ok: true, masked: 0, columns: names.length });
    } finally {
      await own.drop();
    }
  });

  it('overwrites no rules, and explains what to do', async () => {
    workspace.write({ 'masking.ts': 'export default { tables: {} };' });
    const refused = await masking('init');
    expect([refused.code, refused.stderr]).to.satisfy(
      ([code, said]: [number, string]) => code === 2 && said.includes('They were not changed'),
    );
    expect((await masking('init', '--rules', 'other.yaml')).code).to.equal(0);
  });

  it('checks what was decided: exit code 4 and the lines to add until nothing is open', async () => {
    await masking('init');
    const open = await masking('check');
    expect(open.code).to.equal(4);
    expect(open.stdout)
      .to.contain('To add below "tables:"')
      .and.contain('    code: # decide (text, 3 different values)');
    expect(open.stderr).to.contain('DRIFT').and.contain('3 undecided columns');
    workspace.write({ 'masking.yaml': rules().replaceAll(/^( {4}(code|mood|at)): +#/gm, '$1: keep #') });
    const done = await masking('check');
    expect([done.code, done.stderr]).to.deep.equal([0, '']);
    expect(done.stdout).to.match(/✓ 13 of 22 columns of 3 tables are masked, rules [0-9a-f]{12}/);
    await db.query('alter table patients add nickname text');
    const json = (await masking('check', '--json')).json();
    await db.query('alter table patients drop nickname');
    expect(json.error?.code).to.equal('DRIFT');
    expect(json.data).to.deep.include({
      ok: false,
      columns: 23,
      lines: ['  public.patients:', '    nickname: name # a name, by its name'],
    });
    expect(json.data.undecided).to.deep.equal([
      { schema: 'public', table: 'patients', column: 'nickname', type: 'text' },
    ]);
  });

  it('asks for an acknowledgement of each literal in definitions, whatever the names and literals are', async () => {
    const strange = 'a: "b" # c\n\u2028';
    const own = await scratchDatabase(`
      create table ${pg.escapeIdentifier(strange)} (a boolean default length(E'Anna\\n#: "Canary"\\u001b[2J') > 2);
      comment on table ${pg.escapeIdentifier(strange)} is 'literals: { x: y }
        ${'very '.repeat(30)}long';`);
    workspace.write({ '.env.testing': `DATABASE_URL=${own.url}\n` });
    try {
      const { stdout } = await masking('init');
      expect(stdout).to.contain('2 definitions with literals to acknowledge');
      const open = await masking('check');
      expect([open.code, open.stdout, open.stderr].join('\n'))
        .to.match(/^4/)
        .and.contain('To add below "literals:"')
        .and.contain('2 definitions to acknowledge');
      const { data, error } = (await masking('check', '--json')).json();
      expect(error?.code).to.equal('DRIFT');
      expect(data.ok).to.equal(false);
      expect(data.literals.map(({ name }: { name: string }) => name)).to.deep.equal([
        `comment on table public.${pg.escapeIdentifier(strange)}`,
        `default public.${pg.escapeIdentifier(strange)}.a`,
      ]);
      expect(data.literalLines[0]).to.match(/: [0-9a-f]{8} # 'literals: \{ x: y \} (very )+v?e?r?y?…$/);
      expect(data.literalLines[1]).to.match(/ # .*Anna #: "Canary" \[2J/);
      expect(rules().split('\n')).to.include.members(data.literalLines.map((line: string) => `#${line}`));
      workspace.write({ 'masking.yaml': rules().replaceAll(/^# {2}(?=['"])/gm, '  ') });
      const done = await masking('check');
      expect([done.code, done.stderr]).to.deep.equal([0, '']);
      await own.query(`drop table ${pg.escapeIdentifier(strange)}`);
      const gone = await masking('check', '--json');
      expect(gone.json().warnings.filter((one: string) => one.includes('nothing to acknowledge'))).to.have.length(2);
    } finally {
      await own.drop();
    }
  });

  it('says where in the file a rule is wrong', async () => {
    workspace.write({ 'masking.yaml': 'tables:\n  public.patients:\n    vorname: nname\n' });
    const wrong = await masking('check');
    expect([wrong.code, wrong.stderr.split('\n')[0]]).to.deep.equal([
      2,
      '✗ INVALID_CONFIGURATION  masking.yaml:3:5: "nname" is no rule; did you mean name.',
    ]);
    workspace.write({ 'masking.yaml': 'tables:\n  public.patients:\n    vornamen: name\n' });
    expect((await masking('check')).stdout).to.contain(
      '✗ masking.yaml:3:5: public.patients.vornamen: there is no such column; did you mean vorname',
    );
    workspace.write({ 'masking.yaml': '' });
    expect((await masking('check')).code).to.equal(2);
  });

  it('takes rules in TypeScript, and says that there are none', async () => {
    const none = await masking('check');
    expect([none.code, none.stderr]).to.satisfy(
      ([code, said]: [number, string]) => code === 2 && said.includes('manage_db masking init'),
    );
    workspace.write({
      'masking.ts': `import { defineMasking } from 'manage_db';
        const keep = ['id', 'patient_id'] as const;
        export default defineMasking({ tables: { 'public.patients': 'no-rows', 'public.patient_sessions': { keep: [...keep], started_at: null }, '"Ärzte"."Besuche"': { keep: ['id'], patient_id: { fixed: 1 }, mail: 'emai', at: undefined } } });`,
    });
    const wrong = await masking('check');
    expect(wrong.stderr).to.contain('masking.ts "Ärzte"."Besuche" mail: "emai" is no rule; did you mean email.');
  });
});

describe('the salt for masking', () => {
  let workspace: ScratchWorkspace;
  afterEach(() => workspace.remove());
  const saltWith = (lines: string) => {
    workspace = scratchWorkspace({ '.env.production': lines, 'the-salt': '0123456789abcdef\n' });
    return workspace.run(() => readMaskingSalt('production')).catch((error: Error) => error);
  };

  it('comes from a setting, a file or a command, and has 16 bytes at least', async () => {
    expect(await saltWith('MASKING_SALT_FILE=the-salt\n')).to.equal('0123456789abcdef');
    expect(await saltWith('MASKING_SALT_COMMAND="cat the-salt"\n')).to.equal('0123456789abcdef');
    const short = await saltWith('MASKING_SALT=0123456789abcde\n');
    expect(short)
      .to.include({ code: 'INVALID_CONFIGURATION' })
      .and.have.property('message')
      .that.contains('has 15 bytes; 16 are the least');
    expect(String(short)).not.to.contain('0123456789');
    const missing = await saltWith('');
    expect(missing)
      .to.include({ code: 'MISSING_SETTING' })
      .and.have.property('hint')
      .that.contains('PRODUCTION_MASKING_SALT_FILE');
  });
});

import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { InspectedDiagram } from '../../../app/core/db-operations/inspection/inspected.js';
import { type InspectOptions, inspectDb } from '../../../app/core/db-operations/inspection.js';
import { ManageDbError } from '../../../app/core/errors.js';
import { type OpenDatabase, openDatabase } from '../../database/catalog/open-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';

const WARD = `
  create schema ward;
  create schema shop;
  create domain ward.required as bigint not null;
  create table ward.clinics (id bigint generated always as identity primary key, name varchar(40) not null unique,
    since timestamp with time zone);
  comment on table ward.clinics is 'where patients go';
  comment on column ward.clinics.name is 'as on the door';
  create table ward.visits (clinic_id bigint not null references ward.clinics, number int, price numeric(10,2),
    before_clinic bigint, before_number int, code text, day date,
    primary key (clinic_id, number), unique (code, day),
    foreign key (before_clinic, before_number) references ward.visits);
  create table ward.details (clinic_id bigint primary key references ward.clinics);
  create table ward.licences (clinic_id bigint unique references ward.clinics, mandatory ward.required references ward.clinics);
  create unique index in_part on ward.visits (before_clinic) where price > 0;
  create unique index shouted on ward.visits (lower(code));
  create table ward.stays (id int not null, at int not null, clinic_id bigint not null references ward.clinics, primary key (id, at))
    partition by range (at);
  create table ward.stays_1 partition of ward.stays for values from (0) to (10) partition by list (at);
  create table ward.stays_2 partition of ward.stays_1 for values in (1);
  create table ward.numbers (id int primary key);
  alter table ward.stays_2 add constraint own foreign key (id) references ward.numbers;
  create table ward.bills (id int primary key, stay int, at int, foreign key (stay, at) references ward.stays);
  create view ward.names as select name from ward.clinics;
  create table shop.orders (id int primary key, clinic_id bigint not null references ward.clinics);
  create table shop.alone ();
`;

describe('inspect-db --diagram', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  before(async () => {
    db = await openDatabase(WARD);
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
  });
  after(async () => {
    await workspace.remove();
    await db.drop();
  });

  const draw = async (options: InspectOptions = {}): Promise<InspectedDiagram> => {
    const { diagram, ...rest } = await workspace.run(() => inspectDb({ env: 'testing', diagram: true, ...options }));
    expect(rest).to.deep.equal({});
    if (diagram === undefined) throw new Error('no diagram');
    return diagram;
  };
  const linesOf = ({ mermaid }: InspectedDiagram): string[] => mermaid.split('\n').map((line) => line.trim());
  const edges = (diagram: InspectedDiagram): string[] =>
    linesOf(diagram).filter((line) => / [|}][|o](--|\.\.)/.test(line));
  const boxes = (diagram: InspectedDiagram): string[] =>
    linesOf(diagram).flatMap((line) => /^"(.*)" \{$/.exec(line)?.[1] ?? []);
  const box = (diagram: InspectedDiagram, name: string): string[] => {
    const lines = linesOf(diagram);
    const start = lines.indexOf(`"${name}" {`);
    return lines.slice(start + 1, lines.indexOf('}', start));
  };
  const refusal = (options: InspectOptions): Promise<ManageDbError> =>
    draw(options).then(
      () => expect.fail('it should have been refused'),
      (error: unknown) => (error instanceof ManageDbError ? error : expect.fail(String(error))),
    );

  it('draws tables with columns, short types, keys and comments', async () => {
    const diagram = await draw();
    expect(box(diagram, 'ward.clinics')).to.deep.equal([
      'bigint id PK',
      'varchar(40) name UK "as on the door"',
      'timestamptz since',
    ]);
    expect(linesOf(diagram)).to.include('%% where patients go');
    expect(box(diagram, 'ward.visits')).to.deep.equal([
      'bigint clinic_id PK, FK',
      'integer number PK',
      'numeric(10_2) price "type numeric(10,2)"',
      'bigint before_clinic FK',
      'integer before_number FK',
      'text code "unique (code, day)"',
      'date day "unique (code, day)"',
    ]);
  });

  it('says by each line how many there can be: by NOT NULL on one end, by unique keys on the other', async () => {
    expect(edges(await draw())).to.deep.equal([
      '"ward.clinics" |o..o| "ward.licences" : "clinic_id"',
      '"ward.clinics" ||--o{ "ward.visits" : "clinic_id"',
      '"ward.clinics" ||--o| "ward.details" : "clinic_id"',
      '"ward.clinics" ||..o{ "shop.orders" : "clinic_id"',
      '"ward.clinics" ||..o{ "ward.licences" : "mandatory"',
      '"ward.clinics" ||..o{ "ward.stays" : "clinic_id"',
      // a key of one partition says nothing of the rows of the others
      '"ward.numbers" |o--o{ "ward.stays" : "id"',
      '"ward.stays" |o..o{ "ward.bills" : "stay, at"',
      '"ward.visits" |o..o{ "ward.visits" : "before_clinic, before_number"',
    ]);
  });

  it('draws partitions as the table that they are parts of, and no views', async () => {
    const names = ['bills', 'clinics', 'details', 'licences', 'numbers', 'stays', 'visits'].map(
      (name) => `ward.${name}`,
    );
    const diagram = await draw();
    expect(boxes(diagram)).to.deep.equal(['shop.alone', 'shop.orders', ...names]);
    expect(diagram).to.include({ tables: 9, relationships: 9, path: null });
  });

  it('draws one schema, and what lies beyond it by its name', async () => {
    const diagram = await draw({ schema: 'shop' });
    expect(boxes(diagram)).to.deep.equal(['shop.alone', 'shop.orders']);
    expect(edges(diagram)).to.deep.equal(['"ward.clinics" ||..o{ "shop.orders" : "clinic_id"']);
  });

  it('draws one table with its neighbours; a partition stands for its table', async () => {
    for (const table of ['ward.stays', 'ward.stays_2']) {
      const diagram = await draw({ table });
      expect(boxes(diagram)).to.deep.equal(['ward.bills', 'ward.clinics', 'ward.numbers', 'ward.stays']);
      expect(edges(diagram)).to.have.length(3);
    }
    expect(boxes(await draw({ table: 'alone', schema: 'shop' }))).to.deep.equal(['shop.alone']);
  });

  it('is the same text for the same tables, made in another order and under other settings', async () => {
    const first = (await draw()).mermaid;
    await db.client.query(`
      alter table ward.clinics rename to clinics_2; alter table ward.clinics_2 rename to clinics;
      alter table ward.licences drop constraint licences_clinic_id_fkey;
      alter table ward.licences add constraint again foreign key (clinic_id) references ward.clinics;
      alter table ward.licences add constraint once_more foreign key (clinic_id) references ward.clinics;
      do $$ begin execute format('alter database %I set search_path = ward, shop', current_database()); end $$`);
    expect((await draw()).mermaid).to.equal(first);
    await db.client.query('alter table ward.licences drop constraint once_more');
  });

  it('draws an empty schema as an empty diagram', async () => {
    await db.client.query('create schema nothing');
    expect(linesOf(await draw({ schema: 'nothing' }))).to.deep.equal([linesOf(await draw())[0], 'erDiagram', '']);
  });

  it('writes a file for everybody to read, and writes it again, keeping a mode that was given to it', async () => {
    const path = join(workspace.root, 'ward.mmd');
    const diagram = await draw({ diagram: path });
    expect(diagram.path).to.equal(path);
    expect(readFileSync(path, 'utf8')).to.equal(diagram.mermaid);
    expect(statSync(path).mode & 0o777).to.equal(0o644);
    chmodSync(path, 0o640);
    writeFileSync(path, diagram.mermaid.replaceAll('\n', '\r\n').replace('visits', 'edited'));
    await draw({ diagram: path });
    expect(readFileSync(path, 'utf8')).to.equal(diagram.mermaid);
    expect(statSync(path).mode & 0o777).to.equal(0o640);
  });

  it('replaces nothing but a diagram of ours, and follows no link', async () => {
    const at = (name: string): string => join(workspace.root, name);
    writeFileSync(at('notes.md'), 'erDiagram\n  of mine');
    mkdirSync(at('folder'));
    symlinkSync(at('elsewhere'), at('link.mmd'));
    for (const name of ['notes.md', 'folder', 'link.mmd', 'missing/ward.mmd']) {
      const error = await refusal({ diagram: at(name) });
      expect(error).to.include({ code: 'USAGE', exitCode: 2 });
      expect(error.message).to.contain(at(name));
      expect(error.hint).to.contain('--diagram');
    }
    expect(readFileSync(at('notes.md'), 'utf8')).to.equal('erDiagram\n  of mine');
    expect(existsSync(at('elsewhere')) || existsSync(at('missing'))).to.equal(false);
  });

  it('refuses what it cannot draw, and what does not go together', async () => {
    expect((await refusal({ table: 'ward.names' })).message).to.contain('ward.names is not drawn');
    expect(await refusal({ table: 'ward.nowhere' })).to.include({ code: 'NOT_FOUND' });
    expect(await refusal({ schema: 'nowhere' })).to.include({ code: 'NOT_FOUND' });
    for (const list of ['tables', 'triggers', 'functions'] as const) {
      for (const options of [{ [list]: true }, { [list]: true, diagram: false, table: 'ward.visits' }]) {
        const error = await refusal(options);
        expect(error).to.include({ code: 'USAGE', exitCode: 2 });
        expect(error.message).to.contain(`--${list}`);
      }
    }
  });

  it('warns where Mermaid would not draw it', async () => {
    expect((await draw()).warnings).to.deep.equal([]);
    await db.client.query(`create schema wide; do $$ begin for n in 1..501 loop
      execute format('create table wide.t%s (id int references ward.numbers)', n); end loop; end $$`);
    try {
      expect((await draw()).warnings[0]).to.contain('maxEdges');
    } finally {
      await db.client.query('drop schema wide cascade');
    }
  });

  it('is, on the command line, the diagram and nothing else', async () => {
    const piped = await workspace.cli(['inspect-db', '--env', 'testing', '--diagram']);
    expect(piped.stdout).to.equal((await draw()).mermaid);
    const json = await workspace.cli(['inspect-db', '--env', 'testing', '--json', '--diagram', 'cli.mmd']);
    expect(json.json().data.diagram).to.include({ tables: 9, path: join(workspace.root, 'cli.mmd') });
    expect(readFileSync(join(workspace.root, 'cli.mmd'), 'utf8')).to.equal(piped.stdout);
    const table = ['inspect-db', '--env', 'testing', '--diagram', '--table', 'shop.orders'];
    expect((await workspace.cli(table)).stdout).to.match(/^%% .*\nerDiagram\n {4}"shop\.orders" \{\n/);
  });
});

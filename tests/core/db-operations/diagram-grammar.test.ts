import { expect } from 'chai';
import mermaid from 'mermaid';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { inspectDb } from '../../../app/core/db-operations/inspection.js';
import { type OpenDatabase, openDatabase } from '../../database/catalog/open-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';

/** What has a meaning to Mermaid, to HTML or to a terminal, and what is no letter of English. */
const HOSTILE = [
  ...[
    'erDiagram',
    'end',
    'title',
    'style',
    'class',
    'subgraph',
    'direction',
    'one',
    'to',
    'optionally to',
    'u',
    '1',
    '1.5',
  ],
  ...[
    'PK',
    'fk',
    'UK-1',
    'pk[]',
    'pkÜ',
    'wind direction TB',
    'direction  lr',
    'accTitle: x',
    'accDescr { x',
    '---',
    '%%',
    '%% x',
  ],
  ...[
    '%%{init: {"theme":"dark"}}%%',
    '}',
    '{',
    '"',
    '""',
    'a"b',
    "it's",
    '`',
    '`a`',
    '~',
    '~a~b~',
    '\\',
    '\\n',
    'a\nb',
    'a\r\nb',
    'a\tb',
  ],
  ...[
    'a.b',
    'a"."b',
    '#',
    '#quot;',
    '&amp;',
    ';',
    ':',
    ':::x',
    '|',
    '||--o{',
    '<b onclick="x">',
    'x=',
    '</script>',
    '*',
    '_',
    '$',
    '@',
  ],
  ...[
    'Größe',
    'übel',
    '表',
    '😀',
    'א',
    '\u202eabc',
    '\u001b[2J',
    '\u00a0',
    '\u2028',
    ' ',
    ' a ',
    '?',
    'a,b',
    '(',
    ')',
    '[',
    ']',
    '()',
    '-',
  ],
];

/** Tables, columns, types, keys and comments under every hostile name, in two schemas of which one has such a name too. */
function hostile(): string {
  const quoted = HOSTILE.map((name) => [escapeIdentifier(name), escapeLiteral(`${name} said of ${name}`)] as const);
  return [
    'create schema "we ""are"".%%{x}%%"; create schema plain; create schema types; create table plain.target (id int primary key);',
    `create table plain."all" (id int primary key, ${quoted.map(([name]) => `${name} int unique`).join(', ')});`,
    ...quoted.flatMap(([name, comment]) => [
      `create domain types.${name} as numeric(10,2);`,
      `create table "we ""are"".%%{x}%%".${name} (${name} int primary key references plain.target,
        t types.${name}, ts timestamptz(3)[], n numeric(10,2)[]);`,
      `comment on table "we ""are"".%%{x}%%".${name} is ${comment};`,
      `comment on column "we ""are"".%%{x}%%".${name}.${name} is ${comment};`,
      `comment on column "we ""are"".%%{x}%%".${name}.ts is ${comment};`,
      `comment on column plain."all".${name} is ${comment};`,
    ]),
  ].join('\n');
}

/** What Mermaid has read: texts as it shows them. */
interface Read {
  readonly entities: ReadonlyMap<string, readonly { readonly name: string; readonly keys: readonly string[] }[]>;
  readonly relationships: number;
}

async function readByMermaid(text: string): Promise<Read> {
  await mermaid.parse(text);
  const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
  const { getEntities, getRelationships } = db as unknown as {
    getEntities: () => Map<string, { attributes: { name: string; keys?: string[] }[] }>;
    getRelationships: () => unknown[];
  };
  const entities = [...getEntities.call(db)].map(
    ([name, { attributes }]) =>
      [shown(name), attributes.map((each) => ({ name: each.name, keys: each.keys ?? [] }))] as const,
  );
  return { entities: new Map(entities), relationships: getRelationships.call(db).length };
}

/** Mermaid's own spelling of `#34;` while it parses. */
function shown(text: string): string {
  return text.replaceAll(/ﬂ°°(\d+)¶ß/g, (_, code: string) => String.fromCodePoint(Number(code)));
}

describe('a diagram of hostile names', () => {
  let db: OpenDatabase;
  let workspace: ScratchWorkspace;
  let text: string;
  before(async () => {
    db = await openDatabase(hostile());
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
    const { diagram } = await workspace.run(() => inspectDb({ env: 'testing', diagram: true }));
    text = diagram?.mermaid ?? '';
  });
  after(async () => {
    await workspace.remove();
    await db.drop();
  });

  it('is read by Mermaid: every table, every column, every line', async () => {
    const { entities, relationships } = await readByMermaid(text);
    expect(entities).to.have.property('size', HOSTILE.length + 2);
    expect(relationships).to.equal(HOSTILE.length);
    expect(entities.get('plain.all')).to.have.length(HOSTILE.length + 1);
    for (const [name, attributes] of entities) {
      if (name.startsWith('plain.')) continue;
      expect(attributes, name).to.have.length(4);
      expect(attributes[0]?.keys, name).to.deep.equal(['PK', 'FK']);
    }
  });

  it('shows a name as it is, wherever a terminal and a line have room for it', async () => {
    const { entities } = await readByMermaid(text);
    const schema = '"we ""are"".%%{x}%%"';
    for (const name of HOSTILE.filter((each) => !/[\p{C}\s\\".]/u.test(each))) {
      expect([...entities.keys()]).to.include(`${schema}.${name}`);
    }
    expect([...entities.keys()])
      .to.include(`${schema}."a"".""b"`)
      .and.to.include(`${schema}.a\\u{a}b`);
  });

  it('holds nothing that a terminal would obey, and no directive', async () => {
    expect(text.replaceAll('\n', '')).to.not.match(/[\p{C}\p{Zl}\p{Zp}]|%%\{/u);
  });

  it('is read alone, too: each table with its neighbour', async () => {
    for (const name of ['a"b', 'wind direction TB', '%%{init: {"theme":"dark"}}%%', 'pk[]', '~a~b~']) {
      const table = `"we ""are"".%%{x}%%".${escapeIdentifier(name)}`;
      const { diagram } = await workspace.run(() => inspectDb({ env: 'testing', diagram: true, table }));
      const { entities, relationships } = await readByMermaid(diagram?.mermaid ?? '');
      expect([entities.size, relationships]).to.deep.equal([2, 1]);
    }
  });
});

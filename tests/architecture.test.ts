import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { expect } from 'chai';

const root = join(import.meta.dirname, '..');

/** The rooms, from the ground up: a file imports from its own floor or from below. The longest prefix decides. */
const FLOORS: readonly (readonly string[])[] = [
  [
    'app/core/errors',
    'app/core/files',
    'app/core/levels',
    'app/core/listed',
    'app/core/migration-versions',
    'app/core/nearest',
    'app/core/os-user',
    'app/core/own-file',
    'app/core/plural',
    'app/core/progress',
    'app/core/schema',
    'app/core/shell-quote',
    'app/core/workspace-root',
    'app/types',
  ],
  ['app/core/environment', 'app/core/next-command'],
  ['app/config'],
  ['app/database', 'app/services'],
  ['app/core/triggers', 'app/core/safety'],
  ['app/core/db-operations'],
  ['app/index'],
  ['scripts'],
];

/** Exported, and not behind the gate: they work on files, only look at what is there, or ask by what is exported. */
const WITHOUT_DATABASE = [
  'listBackups',
  'showBackup',
  'planPruning',
  'runDoctor',
  'showMigrationsEverywhere',
  'initWorkspace',
  'TriggerRegistry',
  'defineMasking',
];

const files = ['app', 'scripts'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name)),
);
const imports = new Map(files.map((file) => [file, importsOf(file)]));

describe('the house', () => {
  it('has a room for every file', () => {
    expect(files.filter((file) => floorOf(file) < 0)).to.deep.equal([]);
  });

  it('lets imports run one way only', () => {
    const upwards = files.flatMap((file) =>
      (imports.get(file) ?? [])
        .filter((target) => floorOf(target) > floorOf(file))
        .map((target) => `${file} → ${target}`),
    );
    expect(upwards).to.deep.equal([]);
  });

  it('has no circles', () => {
    expect(circlesOf(imports)).to.deep.equal([]);
  });

  it('has no circles of rooms among the operations', () => {
    const between = new Map<string, Set<string>>();
    for (const [file, targets] of imports) {
      const from = roomOf(file);
      for (const to of targets.map(roomOf)) {
        if (from === null || to === null || from === to) continue;
        between.set(from, (between.get(from) ?? new Set()).add(to));
      }
    }
    expect(between.size).to.be.at.least(10);
    expect(circlesOf(new Map([...between].map(([room, targets]) => [room, [...targets]])))).to.deep.equal([]);
  });

  it('neither prints, nor exits, nor asks below scripts/', () => {
    const offenders = files.filter(
      (file) => file.startsWith('app/') && /\bconsole\.|process\.exit\(|readline|prompt\(/.test(textOf(file)),
    );
    expect(offenders).to.deep.equal([]);
  });

  it('exports no operation that has not passed the gate', () => {
    const index = textOf('app/index.ts');
    const exported = [...index.matchAll(/export \{([^}]*)\} from '\.\/(core\/db-operations\/[^']*)\.js'/g)];
    const ungated = exported.flatMap(([, names = '', path]) => {
      const text = textOf(`app/${path}.ts`);
      return names
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '' && !name.startsWith('type ') && !WITHOUT_DATABASE.includes(name))
        .filter((name) => {
          const body = new RegExp(`export (?:async )?function ${name}[\\s\\S]*?\\n}`).exec(text)?.[0] ?? '';
          return !/return (?:await )?guarded\(/.test(body) && !/return applyTriggers\(/.test(body);
        });
    });
    expect(exported).to.have.length.of.at.least(10);
    expect(ungated).to.deep.equal([]);
  });

  it('calls every refused right a PermissionError', () => {
    const offenders = files.filter((file) => /new ManageDbError\(\s*'PERMISSION_DENIED'/.test(textOf(file)));
    expect(offenders).to.deep.equal([]);
  });

  it('tests features by what users have: the public library and the command line', () => {
    const offenders = files
      .filter((file) => file.startsWith('scripts/feature-tests/categories/'))
      .flatMap((file) =>
        (imports.get(file) ?? [])
          .filter((target) => target.startsWith('app/') && target !== 'app/index.ts')
          .map((target) => `${file} → ${target}`),
      );
    expect(offenders).to.deep.equal([]);
  });

  it('keeps SQL out of the commands', () => {
    const offenders = files.filter(
      (file) =>
        file.startsWith('scripts/commands') &&
        /`\s*(select|insert|update|delete|create|drop|alter)\s/i.test(textOf(file)),
    );
    expect(offenders).to.deep.equal([]);
  });
});

/** The folder of an operation's pieces; `null`: it is in none. */
function roomOf(file: string): string | null {
  return /^app\/core\/db-operations\/([^/]+)\//.exec(file)?.[1] ?? null;
}

function circlesOf(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const circles: string[] = [];
  const walk = (node: string, path: readonly string[]): void => {
    if (path.includes(node)) circles.push([...path.slice(path.indexOf(node)), node].join(' → '));
    if (done.has(node) || path.includes(node)) return;
    for (const target of edges.get(node) ?? []) walk(target, [...path, node]);
    done.add(node);
  };
  for (const node of edges.keys()) walk(node, []);
  return circles;
}

function floorOf(file: string): number {
  const matches = FLOORS.flatMap((rooms, floor) =>
    rooms.filter((room) => file.startsWith(room)).map((room) => [room.length, floor] as const),
  );
  return matches.sort((a, b) => b[0] - a[0])[0]?.[1] ?? -1;
}

/** Also types and lazy imports: they tie two files together all the same. */
function importsOf(file: string): readonly string[] {
  const paths = [...textOf(file).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']*)\.js'/g)].map(([, path]) => path ?? '');
  return [...new Set(paths.map((path) => normalize(relative(root, join(root, dirname(file), `${path}.ts`)))))];
}

function textOf(file: string): string {
  // examples in comments are not code
  return readFileSync(join(root, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}

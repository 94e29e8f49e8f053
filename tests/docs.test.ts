import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect } from 'chai';
import { PROCESS_VARIABLES } from '../app/config/process-variables.js';
import { SETTINGS, type SettingDefinition } from '../app/config/setting-names.js';
import { EXIT_CODES } from '../app/core/errors.js';
import { commandOf, OPERATIONS, type OperationName } from '../app/core/safety/operations.js';
import { COMMANDS, findCommand } from '../scripts/command-table.js';
import { GENERATED } from '../scripts/dev/docs.js';
import { declaredBy } from '../scripts/dev/reference/command-flags.js';
import { configKeys } from '../scripts/dev/reference/settings-page.js';
import { separateJsonFile } from '../scripts/json-file.js';
import { GLOBAL_FLAGS, parseLine } from '../scripts/parse-line.js';
import { callsIn, manual, ROOT, readPage, typedLines } from './support/manual-pages.js';

const pages = manual();

describe('the manual', () => {
  /** The flags of every command, by its name. */
  const flags = new Map<string, readonly string[]>();
  before(async () => {
    for (const { name, load } of COMMANDS) {
      const { command } = await load();
      flags.set(
        name,
        declaredBy(command.builder).flags.map((flag) => flag.name),
      );
    }
  });

  for (const { file, make } of GENERATED) {
    it(`has ${file} as the code says it`, async () => {
      const present = readFileSync(join(ROOT, file), 'utf8');
      const made = await make(present);
      // how JSON is broken into lines is the formatter's
      const read = (text: string): unknown => (file.endsWith('.json') ? JSON.parse(text) : text);
      expect(read(present), 'run: npm run docs').to.deep.equal(read(made));
    });
  }

  it('has a description of every key of the configuration file', () => {
    expect(configKeys().filter(({ description }) => description === null)).to.deep.equal([]);
  });

  it('says which exit codes are an answer, for every command that has such', async () => {
    const silent: string[] = [];
    for (const { name, load } of COMMANDS) {
      const { command } = await load();
      const text = readFileSync(join(ROOT, `scripts/commands/${name}.ts`), 'utf8');
      const hasOwn = /\bexitCode: |\berror: (\w+\(|new )|\{ error \}/.test(text);
      if (hasOwn && command.exitCodes === undefined) silent.push(name);
    }
    expect(silent, 'add exitCodes to the command').to.deep.equal([]);
  });

  it('has links that lead somewhere', () => {
    const broken = pages.flatMap((page) =>
      page.links
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => !leadsSomewhere(page.file, link))
        .map((link) => `${page.file}: ${link}`),
    );
    expect(broken).to.deep.equal([]);
  });

  it('has every page in its index', () => {
    const { links } = readPage('docs/README.md');
    const pagesOfDocs = pages
      .map(({ file }) => file.replace('docs/', ''))
      .filter((file) => !file.startsWith('decisions/'));
    const missing = pagesOfDocs.filter((file) => !/^[A-Z]+\.md$/.test(file) && !links.includes(file));
    expect(missing, 'add a line to docs/README.md').to.deep.equal([]);
  });

  it('names files of the project that are there', () => {
    const gone = pages.flatMap(({ file, inline, blocks }) =>
      [...inline, ...blocks.filter(({ language }) => language === 'mermaid').flatMap(({ text }) => text.split(/["<]/))]
        .flatMap((code) => /^(app|scripts|tests|docs|templates)\/[\w./-]+$/.exec(code)?.[0] ?? [])
        .filter((path) => !existsSync(join(ROOT, path)))
        .map((path) => `${file}: ${path}`),
    );
    expect(gone).to.deep.equal([]);
  });

  it('shows lines that the command line understands', async () => {
    const wrong: string[] = [];
    for (const { file, blocks } of pages) {
      for (const args of blocks.flatMap(typedLines).flatMap(callsIn)) {
        if (args.some((arg) => ['--help', '--version', 'completion'].includes(arg))) continue;
        const word = args.find((arg) => findCommand(arg) !== undefined) ?? args[0];
        const line = findCommand(word ?? '')?.hasJsonFile === true ? separateJsonFile(args, word ?? '') : args;
        const problem = await parseLine(line, word).then(
          () => null,
          (error: unknown) => String(error),
        );
        if (problem !== null) wrong.push(`${file}: manage_db ${args.join(' ')}: ${problem}`);
      }
    }
    expect(wrong).to.deep.equal([]);
  });

  it('names commands and flags that exist', () => {
    const wrong = pages.flatMap(({ file, blocks, inline }) => {
      const calls = [
        ...inline.flatMap(callsIn),
        ...blocks.flatMap(({ text }) => text.split('\n').flatMap(callsIn)),
        // `create-backup --prove`, also without the name of the program
        ...inline.filter((code) => findCommand(code.split(' ')[0] ?? '')).map((code) => code.split(' ')),
      ];
      return calls.flatMap((args) => mistakesIn(args).map((mistake) => `${file}: ${mistake}`));
    });
    expect(wrong).to.deep.equal([]);
  });

  it('names no command that is not there', () => {
    const known = [
      ...COMMANDS.flatMap(({ name, aliases }) => [name, ...aliases]),
      ...Object.keys(OPERATIONS),
      ...Object.keys(OPERATIONS).map((operation) => commandOf(operation as OperationName)),
    ];
    const words = known.map((name) => name.split(/[-_ ]/));
    const verbs = new Set(words.map(([verb]) => verb));
    const nouns = new Set(words.filter((parts) => parts.length > 1).map((parts) => parts.at(-1)));
    const unknown = pages.flatMap(({ file, inline }) =>
      inline
        .filter((code) => /^[a-z]+(-[a-z]+)+$/.test(code) && !known.includes(code) && !LINT_RULES.includes(code))
        .filter((code) => verbs.has(code.split('-')[0]) && nouns.has(code.split('-').at(-1)))
        .map((code) => `${file}: ${code}`),
    );
    expect(unknown).to.deep.equal([]);
  });

  it('names flags that some command has', () => {
    const known = new Set([...[...flags.values()].flat(), ...Object.keys(GLOBAL_FLAGS), 'help', 'version']);
    const unknown = pages.flatMap(({ file, inline }) =>
      inline
        .filter((code) => /^--[a-z]/.test(code))
        .flatMap((code) => code.match(/(?<=^|\s)--[a-z][a-z-]*/g) ?? [])
        .filter((flag) => !known.has(flag.slice(2)) && !known.has(flag.replace(/^--no-/, '')))
        .map((flag) => `${file}: ${flag}`),
    );
    expect(unknown).to.deep.equal([]);
  });

  it('names error codes and variables that exist', () => {
    const variables = Object.values<SettingDefinition>(SETTINGS).flatMap(({ variables: names }) => names);
    const known = [...Object.keys(EXIT_CODES), ...Object.keys(PROCESS_VARIABLES), ...FOREIGN_NAMES];
    const isVariable = (name: string) =>
      variables.some((variable) => withoutForm(name) === variable || withoutForm(name).endsWith(`_${variable}`));
    const unknown = pages.flatMap(({ file, inline }) =>
      inline
        .map((code) => code.split('=')[0] ?? '')
        .filter((name) => /^[A-Z]+(_[A-Z]+)+$/.test(name) && !known.includes(name) && !isVariable(name))
        .map((name) => `${file}: ${name}`),
    );
    expect(unknown).to.deep.equal([]);
  });

  it('imports what the library exports', () => {
    const index = readFileSync(join(ROOT, 'app/index.ts'), 'utf8');
    const unknown = pages.flatMap(({ file, blocks }) =>
      blocks.flatMap(({ text }) =>
        [...text.matchAll(/import (?:type )?\{([^}]*)\} from 'manage_db'/g)]
          .flatMap(([, names = '']) => names.split(','))
          .map((name) => name.replace(/^\s*type /, '').trim())
          .filter((name) => name !== '' && !new RegExp(`\\b${name}\\b`).test(index))
          .map((name) => `${file}: ${name}`),
      ),
    );
    expect(unknown).to.deep.equal([]);
  });

  /** What is wrong with a call as it is named, whole or not. */
  function mistakesIn(args: readonly string[]): readonly string[] {
    const word = args.find((arg) => findCommand(arg) !== undefined);
    const line = `manage_db ${args.join(' ')}`;
    const first = args.find((arg) => !arg.startsWith('-'));
    if (word === undefined) {
      const isProse = first === undefined || ['help', 'completion'].includes(first) || !/^[a-z]+[-_]/.test(first);
      return isProse ? [] : [`${line}: no such command`];
    }
    const own = flags.get(findCommand(word)?.name ?? '') ?? [];
    const known = [...own, ...Object.keys(GLOBAL_FLAGS), 'help', 'version'];
    return args
      .flatMap((arg) => /^--([a-z][a-z-]*)/.exec(arg)?.[1] ?? [])
      .filter((flag) => !known.includes(flag) && !known.includes(flag.replace(/^no-/, '')))
      .map((flag) => `${line}: no such flag --${flag}`);
  }
});

describe('.env.example', () => {
  const lines = readFileSync(join(ROOT, '.env.example'), 'utf8').matchAll(/^#?([A-Z][A-Z_]+)=(.*)$/gm);
  const example = new Map([...lines].map(([, name = '', value = '']) => [name, value]));
  const settings = Object.values<SettingDefinition>(SETTINGS);
  const holds = (variable: string) =>
    [...example.keys()].find((name) => withoutForm(name) === variable || withoutForm(name).endsWith(`_${variable}`));

  it('has every setting, and every variable of the process', () => {
    const missing = settings.filter(({ variables }) => !variables.some(holds)).map(({ variables }) => variables[0]);
    expect(missing).to.deep.equal([]);
    const ours = Object.entries(PROCESS_VARIABLES).filter(([, { isCommon }]) => isCommon !== true);
    expect(ours.map(([name]) => name).filter((name) => !example.has(name))).to.deep.equal([]);
  });

  it('has nothing else', () => {
    const known = [...settings.flatMap(({ variables }) => variables), ...Object.keys(PROCESS_VARIABLES)];
    const foreign = [...example.keys()].filter(
      (name) => !known.some((one) => withoutForm(name) === one || withoutForm(name).endsWith(`_${one}`)),
    );
    expect(foreign).to.deep.equal([]);
  });

  it('shows the defaults that count', () => {
    for (const { variables, number } of settings) {
      const name = number === undefined ? undefined : variables.map(holds).find((one) => one !== undefined);
      if (name !== undefined) expect(example.get(name), name).to.equal(String(number?.default));
    }
  });
});

describe('the variables of the process', () => {
  it('are those that the code reads', () => {
    const text = ['app', 'scripts'].map((folder) => codeBelow(folder)).join('\n');
    const read = [...text.matchAll(/process\.env\.([A-Z_]+)\b(?!\s*\?\?=)/g)].map(([, name]) => name ?? '');
    const taken = [...text.matchAll(/const \{([^}]*)\} = process\.env;/g)].flatMap(([, names = '']) =>
      [...names.matchAll(/\b[A-Z_]{2,}\b/g)].map(([name]) => name),
    );
    const variables = Object.values<SettingDefinition>(SETTINGS).flatMap(({ variables: names }) => names);
    const known = [...Object.keys(PROCESS_VARIABLES), ...variables, 'LC_ALL', 'LC_CTYPE'];
    expect([...new Set([...read, ...taken])].filter((name) => !known.includes(name))).to.deep.equal([]);
  });
});

/** Rules of lint-db-migration that are named like commands. */
const LINT_RULES: readonly string[] = ['create-trigger', 'disable-triggers'];

/** Names in capitals that are neither codes nor variables of ours. */
const FOREIGN_NAMES: readonly string[] = ['AWS_PROFILE', 'FLASK_ENV', 'NAME_COMMAND', 'NAME_FILE', 'SECURITY_SETTINGS'];

function leadsSomewhere(from: string, link: string): boolean {
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? from : normalize(join(dirname(from), path));
  if (!existsSync(join(ROOT, target))) return false;
  return anchor === undefined || (target.endsWith('.md') && readPage(target).anchors.has(anchor));
}

/** `DATABASE_URL` of `DATABASE_URL_FILE`. */
function withoutForm(name: string): string {
  return name.replace(/_(FILE|COMMAND)$/, '');
}

function codeBelow(folder: string): string {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('dev'))
    .map((name) => readFileSync(join(ROOT, folder, name), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ''))
    .join('\n');
}

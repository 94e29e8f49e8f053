// docs/reference/library.md: every function, class and constant that app/index.ts exports, as its JSDoc says it.
import { type ExportedName, exportedNames } from './exported-names.js';
import { anchor, code, madeFrom } from './markdown.js';

/** The parts of the page, in its order; the first that fits the path of a file takes it. */
const PARTS: readonly (readonly [title: string, fits: RegExp])[] = [
  ['Environments and configuration', /^(config\/|core\/environment(-names)?$|services\/setup-environment$)/],
  ['Sessions', /^services\/(actor|connection\/|database-service|debug-mode)/],
  ['Entities', /^services\/(entit|timestamp-mixin)/],
  ['The embedded server', /^services\/embedded-postgres$/],
  ['Declaring triggers', /^core\/triggers\//],
  ['Errors and safety', /^core\/(errors|levels|safety\/)/],
  ['Operations', /^core\/db-operations\//],
];

export function libraryPage(): string {
  const names = exportedNames();
  const partOf = ({ path }: ExportedName): string => {
    const part = PARTS.find(([, fits]) => fits.test(path));
    if (part === undefined) throw new Error(`The reference of the library has no part for app/${path}.ts.`);
    return part[0];
  };
  const parts = PARTS.map(([title]) => [title, names.filter((name) => partOf(name) === title)] as const);
  return [
    '# The library',
    madeFrom('app/index.ts and the JSDoc of what it exports'),
    [
      "`import { … } from 'manage_db'`. Operations are the same that the command line calls, with the same gate before them: what a command asks",
      'for by flags, they take as `env`, `consent` (`yes`, `confirm`, `reason`), `dryRun`, `signal` and `onProgress`. The types of options and results come',
      'with the package. What fails throws a `ManageDbError` with one of the [codes](errors.md).',
    ].join('\n'),
    ...parts.map(([title, own]) =>
      [
        `**[${title}](#${anchor(title)})**`,
        own.map(({ name }) => `[${code(name)}](#${anchor(name)})`).join(' · '),
      ].join('  \n'),
    ),
    ...parts.flatMap(([title, own]) => [`## ${title}`, ...own.map(sectionOf)]),
  ]
    .join('\n\n')
    .concat('\n');
}

function sectionOf({ name, signature, description, throws, example }: ExportedName): string {
  const lines = [...(signature === null ? [] : [signature]), ...(example === null ? [] : ['', example])];
  return [
    `### ${name}`,
    description,
    ...(lines.length === 0 ? [] : [['```ts', ...lines, '```'].join('\n').replace('```ts\n\n', '```ts\n')]),
    ...(throws === null ? [] : [`Throws ${throws}`]),
  ].join('\n\n');
}

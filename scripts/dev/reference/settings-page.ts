// docs/reference/settings.md: every variable and every key of the configuration file, as the schemas and lists of app/config say it.
import { configSchema, type EnvironmentSection } from '../../../app/config/config-file.js';
import { PROCESS_VARIABLES } from '../../../app/config/process-variables.js';
import { SETTINGS, type SettingDefinition } from '../../../app/config/setting-names.js';
import { SECURITY_SETTINGS, type SecuritySettings } from '../../../app/config/settings.js';
import { toJSONSchema } from '../../../app/core/schema.js';
import { code, madeFrom, table } from './markdown.js';

const DEFINITIONS: readonly SettingDefinition[] = Object.values(SETTINGS);

export function settingsPage(): string {
  const keys = configKeys();
  const ofWorkspace = keys.filter(({ path }) => !path.startsWith(ENVIRONMENT) && !path.startsWith('killSwitch'));
  const below = (prefix: string) => keys.filter(({ path }) => path.startsWith(prefix));
  const parts = ['security', 'copy', 'migrations'].map((part) => `${ENVIRONMENT}.${part}.`);
  const ofEnvironment = below(`${ENVIRONMENT}.`).filter(({ path }) => !parts.some((part) => path.startsWith(part)));
  return [
    '# Every setting',
    madeFrom('app/config/'),
    [
      'Which place wins is told in [Environments and configuration](../configuration.md#which-value); `manage_db show-config` shows what is in effect,',
      'and where each value came from. [.env.example](../../.env.example) has the variables as a file to copy from.',
    ].join('\n'),
    '## Variables of an environment',
    [
      'Without a prefix in `.env.<environment>` and `.env.<environment>.local`; in `.env` and in the environment of the process with the one that',
      'says whose value it is: `PRODUCTION_` or `PROD_`, `STAGING_` or `STAGE_`, `TESTING_` or `TEST_`, `DEVELOPMENT_` or `DEV_`, `<CUSTOM>_`. Each',
      'also with `_FILE` (a file that holds the value) and `_COMMAND` (a command that prints it).',
    ].join('\n'),
    '### Which database it is',
    'A protected environment takes these only where they are written for it alone.',
    variableTable(({ isConnection }) => isConnection),
    '### How it is worked with',
    variableTable(({ isConnection }) => !isConnection),
    '## Variables of the process',
    `These count in the environment of the process; no file is asked for them, but \`.env\` for ${inSharedFile()}.`,
    table(
      ['variable', 'what'],
      Object.entries(PROCESS_VARIABLES).map(([name, { describe }]) => [code(name), describe]),
    ),
    '## The configuration file',
    '`manage_db.config.ts`, `.mts`, `.js`, `.mjs` or `.json` in the folder of the workspace. An unknown key is an error.',
    keyTable(ofWorkspace),
    '### `killSwitch`',
    keyTable(below('killSwitch.')),
    `### ${code(ENVIRONMENT)}`,
    'One section for each environment; a name that is not built in declares a custom one. What is also a variable is described above.',
    keyTable(ofEnvironment),
    `### ${code(`${ENVIRONMENT}.security`)}`,
    'Also for the environments that `extends` this one.',
    securityTable(below(parts[0] ?? '')),
    `### ${code(`${ENVIRONMENT}.copy`)}`,
    'What is done with copies that are made for this environment; see [Copying](../copy.md#quarantine-and-hooks).',
    keyTable(below(parts[1] ?? '')),
    `### ${code(`${ENVIRONMENT}.migrations`)}`,
    'How migrations are applied in this environment; see [Migrations](../migrations.md#settings).',
    keyTable(below(parts[2] ?? '')),
  ]
    .join('\n\n')
    .concat('\n');
}

const ENVIRONMENT = 'environments.<name>';

function inSharedFile(): string {
  const names = Object.entries(PROCESS_VARIABLES).filter(([, { isInSharedFile }]) => isInSharedFile);
  return names.map(([name]) => code(name)).join(', ');
}

function variableTable(isMeant: (definition: SettingDefinition) => boolean): string {
  return table(
    ['variable', 'value', 'default', 'what', 'in the configuration file'],
    DEFINITIONS.filter(isMeant).map((definition) => [
      definition.variables.map(code).join(', '),
      takes(definition),
      codeOrNothing(definition.number?.default ?? definition.default),
      definition.describe,
      codeOrNothing(keyOf(definition)),
    ]),
  );
}

function codeOrNothing(value: unknown): string {
  return value === undefined || value === null ? '' : code(String(value));
}

/** One key of the configuration file. */
export interface ConfigKey {
  /** `environments.<name>.pool.max` */
  readonly path: string;
  readonly type: string;
  readonly fallback: string;
  /** `null`: none in the schema, and no variable that has one. */
  readonly description: string | null;
}

/** As much of JSON schema as zod makes of the configuration's. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | false;
}

/** Every key that can be set, in the order of the schema. */
export function configKeys(): readonly ConfigKey[] {
  return keysBelow('', toJSONSchema(configSchema, { unrepresentable: 'any' }) as Schema);
}

function keysBelow(prefix: string, schema: Schema): readonly ConfigKey[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, below]) => {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const deeper = [
      ...keysBelow(path, below),
      ...(below.items === undefined ? [] : keysBelow(`${path}[]`, below.items)),
      ...entriesBelow(path, below),
    ];
    const isGroup = deeper.length > 0 && below.description === undefined;
    return isGroup ? deeper : [keyAt(path, below), ...deeper];
  });
}

/** Of `environments` and the like: the keys of each of its entries. */
function entriesBelow(path: string, { additionalProperties }: Schema): readonly ConfigKey[] {
  return additionalProperties
    ? keysBelow(`${path}.<${path === 'environments' ? 'name' : 'table'}>`, additionalProperties)
    : [];
}

function keyAt(path: string, schema: Schema): ConfigKey {
  const variable = DEFINITIONS.find((definition) => path === `${ENVIRONMENT}.${keyOf(definition)}`);
  const said = variable === undefined ? null : `As ${variable.variables.map(code).join(', ')}.`;
  const fallback = schema.default ?? variable?.number?.default ?? variable?.default;
  return {
    path,
    type: typeOf(schema),
    fallback: codeOrNothing(fallback),
    description: schema.description ?? said,
  };
}

function typeOf(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => code(String(value))).join(', ');
  if (schema.const !== undefined) return code(String(schema.const));
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  switch (schema.type) {
    case 'array':
      return schema.items?.properties === undefined ? `list of ${typeOf(schema.items ?? {})}` : 'list';
    case 'object':
      return schema.properties === undefined ? 'object' : code(`{ ${Object.keys(schema.properties).join(', ')} }`);
    case 'integer':
      return 'whole number';
    case 'string':
      return 'text';
    case undefined:
      return 'function';
    default:
      return schema.type;
  }
}

function takes({ number, choices }: SettingDefinition): string {
  if (number !== undefined) return `${number.min} to ${number.max}`;
  return choices?.map(code).join(', ') ?? 'text';
}

/** Where a setting stands in a section of the configuration file: what `inFile` reads of it. */
function keyOf({ inFile }: SettingDefinition): string | null {
  let path: string | null = null;
  const reader = (prefix: string): object =>
    new Proxy(
      {},
      {
        get: (_, name) => {
          path = prefix === '' ? String(name) : `${prefix}.${String(name)}`;
          return reader(path);
        },
      },
    );
  inFile(reader('') as EnvironmentSection);
  return path;
}

function keyTable(keys: readonly ConfigKey[]): string {
  return table(
    ['key', 'value', 'default', 'what'],
    keys.map(({ path, type, fallback, description }) => [
      code(path.replace(`${ENVIRONMENT}.`, '')),
      type,
      fallback,
      description ?? '',
    ]),
  );
}

function securityTable(keys: readonly ConfigKey[]): string {
  const { development: open, production: closed } = SECURITY_SETTINGS;
  const valueIn = (settings: SecuritySettings | undefined, path: string): string => {
    const value = settings?.[path.split('.').at(-1) as keyof SecuritySettings];
    return Array.isArray(value) && value.length === 0 ? 'none' : code(String(value));
  };
  return table(
    ['key', 'value', 'development, testing', 'staging, production, custom', 'what'],
    keys.map(({ path, type, description }) => [
      code(path.replace(`${ENVIRONMENT}.`, '')),
      type,
      valueIn(open, path),
      valueIn(closed, path),
      description ?? '',
    ]),
  );
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import { scopedPrefixes } from '../core/environment-names.js';
import { codeOf, ManageDbError, messageOf } from '../core/errors.js';
import { lineageOf, type ManageDbConfig } from './config-file.js';
import type { SecretReference } from './secrets.js';
import { SETTINGS, type SettingDefinition, type SettingName } from './setting-names.js';

/** A value as it was found, before a secret behind it was fetched. */
export interface RawValue {
  readonly value: string | SecretReference;
  /** For people: `PRODUCTION_DATABASE_URL in .env.production`. */
  readonly source: string;
  /** The variable or key alone. */
  readonly name: string;
}

/** One place where values are looked up. The list of layers is the order of precedence. */
export interface ValueLayer {
  /** Whether what it says is meant for one environment only. */
  readonly isScoped: boolean;
  read(setting: SettingName): RawValue | null;
}

/** Values given by the caller: the strongest layer. */
export type SettingOverrides = Partial<Record<SettingName, string>>;

/**
 * The places where settings of `environment` may stand, the strongest first: overrides, scoped process variables,
 * `.env.<env>.local`, `.env.<env>`, scoped names in `.env`, the configuration file, unscoped process variables,
 * unscoped names in `.env`.
 *
 * @throws ManageDbError `UNREADABLE_FILE`, `INVALID_CONFIGURATION`
 */
export function layersOf(
  environment: string,
  root: string,
  config: ManageDbConfig,
  overrides: SettingOverrides = {},
): readonly ValueLayer[] {
  const prefixes = scopedPrefixes(environment);
  const shared = readDotenv(root, '.env');
  const own = [`.env.${environment}.local`, `.env.${environment}`].map(
    (file) => [file, readDotenv(root, file)] as const,
  );
  return [
    overrideLayer(overrides),
    variableLayer(process.env, prefixes, 'the process environment', true),
    ...own.map(([file, variables]) => variableLayer(variables, [...prefixes, ''], file, true)),
    variableLayer(shared, prefixes, '.env', true),
    ...configLayers(environment, config),
    exportedLayer(environment),
    variableLayer(shared, [''], '.env', false),
  ];
}

/** Says for which environment `setupEnvironment()` has put a connection into the process, for its children too. */
export const EXPORTED_FOR = 'MANAGE_DB_EXPORTED_FOR';

/** Unscoped process variables; those that were exported for one environment are no setting of another. */
function exportedLayer(environment: string): ValueLayer {
  const layer = variableLayer(process.env, [''], 'the process environment', false);
  const exportedFor = process.env[EXPORTED_FOR];
  if (!exportedFor || exportedFor === environment) return layer;
  return {
    isScoped: false,
    read: (setting) => (SETTINGS[setting].isConnection ? null : layer.read(setting)),
  };
}

function overrideLayer(overrides: SettingOverrides): ValueLayer {
  return {
    isScoped: true,
    read: (setting) => {
      const value = overrides[setting];
      return value === undefined ? null : { value, source: 'flag', name: setting };
    },
  };
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Two spellings of one variable in one place, such as DEV_ and DEVELOPMENT_, must not disagree. */
function refuseContradiction(found: readonly RawValue[], place: string): void {
  const [first, second] = found;
  if (first === undefined || second === undefined || JSON.stringify(first.value) === JSON.stringify(second.value))
    return;
  throw new ManageDbError(
    'INVALID_CONFIGURATION',
    `${first.name} and ${second.name} are both set in ${place}, to different values.`,
    {
      hint: 'Keep one of them.',
    },
  );
}

function variableLayer(
  variables: Variables,
  prefixes: readonly string[],
  place: string,
  isScoped: boolean,
): ValueLayer {
  return {
    isScoped,
    read: (setting) => {
      const definition: SettingDefinition = SETTINGS[setting];
      for (const variable of definition.variables) {
        const found = prefixes
          .map((prefix) => readVariable(variables, `${prefix}${variable}`, place))
          .filter((value) => value !== null);
        refuseContradiction(found, place);
        if (found[0] !== undefined) return found[0];
      }
      return null;
    },
  };
}

function readVariable(variables: Variables, name: string, place: string): RawValue | null {
  const forms: readonly (readonly [string, string | SecretReference])[] = [
    [name, variables[name] ?? ''],
    [`${name}_FILE`, { file: variables[`${name}_FILE`] ?? '' }],
    [`${name}_COMMAND`, { command: variables[`${name}_COMMAND`] ?? '' }],
  ];
  // an empty variable is as good as none: `PGHOST=` in a compose file means "not set"
  const present = forms.filter(([form]) => (variables[form] ?? '') !== '');
  const [first, second] = present;
  if (first === undefined) return null;
  if (second !== undefined) {
    throw new ManageDbError('INVALID_CONFIGURATION', `${first[0]} and ${second[0]} are both set in ${place}.`, {
      hint: 'Keep one of them.',
    });
  }
  return { value: first[1], source: `${first[0]} in ${place}`, name: first[0] };
}

function configLayers(environment: string, config: ManageDbConfig): readonly ValueLayer[] {
  return lineageOf(environment, config).map(([section, values], generation) => ({
    isScoped: true,
    read: (setting) => {
      const definition: SettingDefinition = SETTINGS[setting];
      // a connection is never inherited: a missing one must not become another environment's database
      if (generation > 0 && definition.isConnection) return null;
      const value = definition.inFile(values);
      if (value === undefined) return null;
      const name = `environments.${section}.${setting}`;
      return {
        value: typeof value === 'number' ? String(value) : value,
        source: `${name} in the configuration file`,
        name,
      };
    },
  }));
}

/**
 * The variables of a file of the workspace; none where there is no such file.
 *
 * @throws ManageDbError `UNREADABLE_FILE`
 */
export function readDotenv(root: string, file: string): Variables {
  const path = join(root, file);
  try {
    return parseDotenv(readFileSync(path));
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return {};
    throw new ManageDbError('UNREADABLE_FILE', `${path} cannot be read: ${messageOf(error)}.`, {
      hint: `Check what it is and its permissions: ls -ld ${path}`,
      cause: error,
    });
  }
}

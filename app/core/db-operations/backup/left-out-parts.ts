import { ManageDbError } from '../../errors.js';
import type { Entry } from '../database-state/contents.js';
import type { DatabaseProperties, Manifest } from '../manifest/manifest.js';

/** What a restore leaves out, because the server does not have what it needs. */
export interface LeftOutParts {
  readonly owners: boolean;
  readonly grants: boolean;
  readonly tablespaces: boolean;
  readonly extensions: readonly string[];
}

export const NOTHING_LEFT_OUT: LeftOutParts = { owners: false, grants: false, tablespaces: false, extensions: [] };

const KINDS = 'owners, grants, tablespaces and extension:NAME';

/**
 * `owners`, `grants`, `tablespaces`, `extension:postgis`.
 *
 * @throws ManageDbError `USAGE`
 */
export function leftOutParts(without: readonly string[], { id, format, extensions }: Manifest): LeftOutParts {
  const parts = partsWithout(without, { what: `Backup ${id}`, verb: 'restore', extensions });
  if (without.length > 0 && format === 'plain') {
    throw refused(
      `A plain dump is restored as a whole: nothing of ${id} can be left out.`,
      'Create what is missing, or choose another backup.',
    );
  }
  return parts;
}

/** What something is left out of. */
export interface Divisible {
  /** `Backup 20261121T…`, `The database of staging`. */
  readonly what: string;
  readonly verb: 'restore' | 'copy';
  readonly extensions: Manifest['extensions'];
}

/**
 * The parts that `without` names.
 *
 * @throws ManageDbError `USAGE` for what nobody knows how to leave out, and for an extension that is not there
 */
export function partsWithout(without: readonly string[], { what, verb, extensions }: Divisible): LeftOutParts {
  const names = without.filter((part) => part.startsWith(EXTENSION)).map((part) => part.slice(EXTENSION.length));
  const unknown = without.find(
    (part) => !['owners', 'grants', 'tablespaces'].includes(part) && !part.startsWith(EXTENSION),
  );
  if (unknown !== undefined)
    throw refused(`A ${verb} does not know how to leave out ${unknown}.`, `It can do without ${KINDS}.`);
  const strange = names.find((name) => !extensions.some((extension) => extension.name === name));
  if (strange !== undefined) {
    const there = extensions.map(({ name }) => name).join(', ') || 'none';
    throw refused(`${what} has no extension ${strange}.`, `Its extensions: ${there}`);
  }
  return {
    owners: without.includes('owners'),
    grants: without.includes('grants'),
    tablespaces: without.includes('tablespaces'),
    extensions: names,
  };
}

function refused(message: string, hint: string): ManageDbError {
  return new ManageDbError('USAGE', `${message} Nothing was changed.`, { hint });
}

const EXTENSION = 'extension:';

/** The arguments of pg_restore that leave them out; extensions are taken from its list. */
export function leavingOut({ owners, grants, tablespaces }: LeftOutParts): string[] {
  return [
    ...(owners ? ['--no-owner'] : []),
    ...(grants ? ['--no-privileges'] : []),
    ...(tablespaces ? ['--no-tablespaces'] : []),
  ];
}

/** Whether an entry of the archive creates or describes an extension that is left out. */
export function isOfLeftOutExtension({ kind, said }: Entry, { extensions }: LeftOutParts): boolean {
  const names = { EXTENSION: /^- (.*) $/, COMMENT: /^- EXTENSION (.*) $/ };
  const name = kind === 'EXTENSION' || kind === 'COMMENT' ? names[kind].exec(said)?.[1] : undefined;
  return name !== undefined && extensions.includes(name);
}

/** `properties` of a database that is made anew by `login`, without what is left out. */
export function withoutParts(
  properties: DatabaseProperties,
  { owners, grants }: LeftOutParts,
  { login, missing }: { readonly login: string; readonly missing: readonly string[] },
): DatabaseProperties {
  return {
    ...properties,
    ...(owners ? { owner: login } : {}),
    ...(grants
      ? {
          grants: null,
          settings: properties.settings.filter(({ role }) => role === null || !missing.includes(role)),
        }
      : {}),
  };
}

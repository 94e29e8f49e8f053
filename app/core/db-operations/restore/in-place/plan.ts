import {
  type KeyInTheWay,
  type RelationInPlace,
  readKeysInTheWay,
  readRelationsBelow,
  readRelationsInPlace,
} from '../../../../database/catalog/tables-in-place.js';
import type { Queryable } from '../../../../database/queryable.js';
import { ManageDbError, PermissionError } from '../../../errors.js';
import { listed } from '../../../listed.js';
import type { Target } from '../../../safety/gate.js';
import { qualified } from '../../inspection/find-relation.js';
import type { Archive, ArchivedKey } from './archive.js';
import { type Belongings, belongingsOf } from './belongings.js';
import type { Chosen, ChosenTable } from './choose-tables.js';
import { type Comparison, compareDefinitions, type PresentTable } from './compare-definitions.js';
import type { Named } from './parsed-statements.js';

/** What is to be done to the live database, and nothing of it is done. */
export interface Plan {
  /** Tables whose rows are replaced. */
  readonly present: readonly PresentTable[];
  /** Partitions that the backup does not know: their rows belong to their table, so they are emptied. */
  readonly emptied: readonly RelationInPlace[];
  /** Tables that are made again. */
  readonly missing: readonly ChosenTable[];
  readonly belongings: Belongings;
  /** Foreign keys that are dropped and made again. */
  readonly keys: readonly KeyInTheWay[];
  /** Foreign keys of tables that are there, which have gone with what they point at, and are made again. */
  readonly lostKeys: readonly ArchivedKey[];
  readonly added: Comparison['added'];
  /** What is locked, as LOCK TABLE takes it, in the order in which everybody who does this locks. */
  readonly locks: readonly string[];
}

export interface Planning {
  readonly target: Target;
  readonly archive: Archive;
  readonly chosen: Chosen;
  /** What functions of the tables find things by; empty: as dumps are restored. */
  readonly searchPath: string;
}

/**
 * Finds out what restoring `chosen` inside the live database takes.
 *
 * @param db in a transaction, which is as before then
 * @throws ManageDbError `PERMISSION_DENIED` with what belongs to others, `USAGE` with every difference between the
 *   definitions of now and then
 */
export async function planInPlace(db: Queryable, planning: Planning): Promise<Plan> {
  const { target, archive, chosen, searchPath } = planning;
  const live = await readRelationsInPlace(db, chosen.tables);
  const find = (named: Named) => live.find(({ schema, name }) => schema === named.schema && name === named.name);
  const present = chosen.tables.flatMap((table) => {
    const found = find(table);
    return found === undefined ? [] : [{ table, live: found }];
  });
  const missing = chosen.tables.filter((table) => find(table) === undefined);
  const partitioned = present.filter(({ live: { kind } }) => kind === 'p').map(({ live: { oid } }) => oid);
  const known = new Set(live.map(({ oid }) => oid));
  const emptied = (await readRelationsBelow(db, partitioned)).filter(({ oid }) => !known.has(oid));
  const replaced = [...live, ...emptied];
  refuseKinds(present, emptied);
  const keys = await readKeysInTheWay(
    db,
    replaced.map(({ oid }) => oid),
  );
  const again = await making(db, archive, missing, chosen);
  refuseForeign(target, replaced, [...keys, ...again.altered.map((table) => ({ ...table, table: table.oid }))]);
  refuseSwitched(target, keys);
  const identities = await archive.identities(sequencesOf(archive, chosen.tables));
  const { differences, added } = await compareDefinitions(db, { present, identities, searchPath });
  if (differences.length > 0) {
    throw new ManageDbError('USAGE', `The tables are not defined as they were: ${listed(differences, 20)}.`, {
      hint: 'Change the definitions back first, or restore the whole backup: leave out --in-place.',
      details: { differences },
    });
  }
  const own = new Set(replaced.map(({ oid }) => oid));
  const others = new Map(
    [
      ...keys.flatMap(({ table, identity, referenced, referencedIdentity }) => [
        { oid: table, identity },
        { oid: referenced, identity: referencedIdentity },
      ]),
      ...again.altered,
    ]
      .filter(({ oid }) => !own.has(oid))
      .map(({ oid, identity }) => [oid, identity]),
  );
  const locks = [
    ...replaced.map(({ oid, identity }) => ({ oid, lock: `only ${identity}` })),
    ...[...others].map(([oid, lock]) => ({ oid, lock })),
  ].sort((one, other) => one.oid - other.oid);
  const { belongings, lostKeys } = again;
  return { present, emptied, missing, keys, lostKeys, added, belongings, locks: locks.map(({ lock }) => lock) };
}

/** The entries of the sequences that number the columns of these tables. */
export function sequencesOf(archive: Archive, tables: readonly { readonly id: number }[]) {
  const ids = new Set(tables.map(({ id }) => id));
  return archive.ofKind('SEQUENCE').filter(({ needs }) => needs.some((need) => ids.has(need)));
}

interface Making {
  readonly belongings: Belongings;
  readonly lostKeys: readonly ArchivedKey[];
  /** Tables that get back a foreign key to a table that is made again. */
  readonly altered: readonly RelationInPlace[];
}

async function making(
  db: Queryable,
  archive: Archive,
  missing: readonly ChosenTable[],
  chosen: Chosen,
): Promise<Making> {
  const nothing = { tables: [], schemas: [], bareSchemas: [], lostKeys: [], impossibleKeys: [], publications: [] };
  const all = await archive.tables();
  if (missing.length === 0) return { belongings: belongingsOf(archive, all, nothing), lostKeys: [], altered: [] };
  const names = [...new Set(missing.map(({ schema }) => schema))];
  const gone = await readMissingSchemas(db, names);
  const archived = await archive.schemas();
  const unknown = gone.filter((name) => !archived.some((schema) => schema.name === name));
  if (unknown.length > 0) {
    throw new ManageDbError(
      'USAGE',
      `The backup does not make the schema ${unknown.join(', ')}, which is not there any more.`,
      {
        hint: `Make it first: create schema ${unknown[0]};`,
      },
    );
  }
  const goneSchemas = archived.filter(({ name }) => gone.includes(name));
  const keys = await archive.foreignKeys();
  const isMade = (named: Named) => missing.some(({ schema, name }) => schema === named.schema && name === named.name);
  const own = keys.filter(({ table }) => isMade(table));
  const toThem = keys.filter(({ table, referenced }) => !isMade(table) && isMade(referenced));
  const live = await readRelationsInPlace(db, [
    ...own.map(({ referenced }) => referenced),
    ...toThem.map(({ table }) => table),
  ]);
  const find = (named: Named) => live.find(({ schema, name }) => schema === named.schema && name === named.name);
  const lostKeys = await withoutThose(
    db,
    toThem.filter(({ table }) => find(table) !== undefined),
  );
  const belongings = belongingsOf(archive, all, {
    tables: missing,
    schemas: goneSchemas.filter(({ name }) => chosen.schemas.includes(name)),
    bareSchemas: goneSchemas.filter(({ name }) => !chosen.schemas.includes(name)),
    lostKeys,
    impossibleKeys: own.filter(({ referenced }) => !isMade(referenced) && find(referenced) === undefined),
    publications: await readPublications(db),
  });
  return { belongings, lostKeys, altered: [...new Set(lostKeys.flatMap(({ table }) => find(table) ?? []))] };
}

async function readMissingSchemas(db: Queryable, names: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `select w.name from pg_catalog.unnest($1::text[]) w (name)
     where not exists (select from pg_catalog.pg_namespace n where n.nspname = w.name)`,
    [names],
  );
  return rows.map(({ name }) => name);
}

async function readPublications(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>('select p.pubname::text as name from pg_catalog.pg_publication p');
  return rows.map(({ name }) => name);
}

/** Those that their tables do not have. */
async function withoutThose(db: Queryable, keys: readonly ArchivedKey[]): Promise<ArchivedKey[]> {
  const { rows } = await db.query<{ schema: string; table: string; name: string }>(
    `select n.nspname::text as schema, c.relname::text as table, k.conname::text as name
     from pg_catalog.pg_constraint k
     join pg_catalog.pg_class c on c.oid = k.conrelid
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where k.conname = any ($1::name[])`,
    [keys.map(({ name }) => name)],
  );
  return keys.filter(
    ({ name, table }) =>
      !rows.some((row) => row.name === name && row.schema === table.schema && row.table === table.name),
  );
}

/** What has another nature now than in the backup. */
function refuseKinds(present: readonly PresentTable[], emptied: readonly RelationInPlace[]): void {
  const parents = new Map(present.map(({ table, live }) => [table.id, live]));
  const problems = [
    ...present.flatMap(({ table, live }) => {
      const name = qualified(table);
      if (live.extension !== null) return [`${name} belongs to the extension ${live.extension}`];
      const wanted = table.isPartitioned ? 'p' : 'r';
      if (live.kind !== wanted) return [`${name} is ${KINDS[live.kind] ?? 'no table'} now, and was ${KINDS[wanted]}`];
      const parent = table.parent === null ? undefined : parents.get(table.parent.id);
      return parent !== undefined && live.parent !== parent.oid
        ? [`${name} is no partition of ${parent.identity} any more`]
        : [];
    }),
    ...emptied.filter(({ kind }) => kind === 'f').map(({ identity }) => `${identity} is a foreign table`),
  ];
  if (problems.length === 0) return;
  throw new ManageDbError('USAGE', `The tables are not what they were: ${listed(problems, 20)}.`, {
    hint: 'Choose other tables, or restore the whole backup: leave out --in-place.',
    details: { differences: problems },
  });
}

const KINDS: Readonly<Record<string, string>> = {
  r: 'a table',
  p: 'a partitioned table',
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  S: 'a sequence',
};

function refuseForeign(
  { user, database }: Target,
  replaced: readonly RelationInPlace[],
  altered: readonly { readonly identity: string; readonly owner: string; readonly isOwned: boolean }[],
): void {
  const foreign = [...replaced, ...altered].filter(({ isOwned }) => !isOwned);
  const owners = [...new Set(foreign.map(({ owner }) => owner))];
  const names = [...new Set(foreign.map(({ identity, owner }) => `${identity} (${owner})`))];
  if (foreign.length > 0) {
    throw new PermissionError(
      `${user} may not alter tables of ${database} that take part in it and belong to others: ${listed(names, 10)}.`,
      {
        hint: `Connect as their owner or a superuser, or become a member: grant ${owners.join(', ')} to ${user};`,
        details: { tables: names },
      },
    );
  }
  const hidden = replaced.filter(({ isHidden }) => isHidden).map(({ identity }) => identity);
  if (hidden.length === 0) return;
  throw new PermissionError(
    `Policies hide rows of ${listed(hidden, 10)} from ${user}: they could not be backed up first, nor compared.`,
    { hint: 'Connect as a role with BYPASSRLS, or a superuser.', details: { tables: hidden } },
  );
}

/** Made again they would be enforced, and only a superuser can switch that off as it was. */
function refuseSwitched({ user, database }: Target, keys: readonly KeyInTheWay[]): void {
  const names = keys
    .filter(({ isSwitched, maySwitch }) => isSwitched && !maySwitch)
    .map(({ name, identity }) => `${name} of ${identity}`);
  if (names.length === 0) return;
  throw new PermissionError(
    `Foreign keys of ${database} that have to be made again are switched off (disable trigger), which ${user} could not do again: ${listed(names, 10)}.`,
    {
      hint: 'Connect as a superuser, or switch them on first: alter table … enable trigger all;',
      details: { keys: names },
    },
  );
}

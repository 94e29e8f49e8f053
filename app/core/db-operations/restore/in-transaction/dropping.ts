import { escapeIdentifier } from 'pg';
import { readExtensions } from '../../../../database/catalog/extensions.js';
import { readResetStatements } from '../../../../database/catalog/what-stays.js';
import type { Queryable } from '../../../../database/queryable.js';
import { OF_CONTENTS, ownTables } from '../../../../database/records/own-tables.js';
import { ManageDbError } from '../../../errors.js';
import { planDrop } from '../../dropping/drop-plan.js';
import type { Manifest } from '../../manifest/manifest.js';
import { type TransactionRestore, UNCHANGED } from './request.js';

export interface Dropping {
  /** What keeps writers out, while readers still read. */
  readonly locks: readonly string[];
  /** What has to go first, in order. */
  readonly statements: readonly string[];
  /** What stays because an extension lives in it, besides public. */
  readonly keptSchemas: readonly string[];
}

/**
 * What has to be locked and dropped before a backup can be restored inside the database. Nothing is dropped yet.
 *
 * @throws ManageDbError `PERMISSION_DENIED` naming what belongs to others, `USAGE` when extensions have moved
 */
export async function planDropping(db: Queryable, { target, manifest }: TransactionRestore): Promise<Dropping> {
  const plan = await planDrop(db, target, UNCHANGED);
  await refuseMovedExtensions(db, manifest);
  const { rows } = await db.query<{ name: string }>(SCHEMAS);
  const droppable = new Set(plan.schemas);
  const keptSchemas = rows.map(({ name }) => name).filter((name) => !droppable.has(name));
  const statements = [
    ...(await readResetStatements(db, ['public', ...keptSchemas.filter((name) => name !== 'manage_db')])),
    ...plan.statements.map(({ sql }) => sql),
    ...ownTables(...OF_CONTENTS).map((table) => `delete from manage_db.${table}`),
  ];
  return { locks: plan.tables.map((table) => `lock table ${table} in exclusive mode`), statements, keptSchemas };
}

/** Extensions stay where they are, and what is restored looks for them where they were. */
async function refuseMovedExtensions(db: Queryable, { id, extensions }: Manifest): Promise<void> {
  const live = new Map((await readExtensions(db)).map(({ name, schema }) => [name, schema]));
  const moved = extensions.filter(({ name, schema }) => live.has(name) && live.get(name) !== schema);
  const [first] = moved;
  if (first === undefined) return;
  const list = moved.map(({ name, schema }) => `${name} (${schema}, now ${live.get(name)})`).join(', ');
  throw new ManageDbError('USAGE', `Extensions are in another schema than when ${id} was made: ${list}.`, {
    hint: `Move them back first: alter extension ${escapeIdentifier(first.name)} set schema ${escapeIdentifier(first.schema)};`,
  });
}

const SCHEMAS = `
  select n.nspname::text as name from pg_catalog.pg_namespace n
  where pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'public')`;

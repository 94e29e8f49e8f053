import { createHash } from 'node:crypto';
import { readConstraintTriggerModes } from '../../../database/catalog/constraint-trigger-modes.js';
import { readDatabaseFacts } from '../../../database/catalog/database-facts.js';
import { readExtensions } from '../../../database/catalog/extensions.js';
import { readReferencedRoles } from '../../../database/catalog/referenced-roles.js';
import { readUsedTablespaces } from '../../../database/catalog/tablespaces.js';
import type { Queryable } from '../../../database/queryable.js';
import { readStamp } from '../../../database/records/identity.js';
import { readObservation } from '../../../database/records/observation.js';
import { readTriggerRecords } from '../../../database/records/trigger-registry.js';
import { ManageDbError } from '../../errors.js';
import { newestVersion } from '../../migration-versions.js';
import type { Manifest } from '../manifest/manifest.js';
import { readDatabaseProperties } from './database-properties.js';

export type DatabaseDescription = Pick<
  Manifest,
  | 'serverVersion'
  | 'serverMajor'
  | 'lsn'
  | 'stamp'
  | 'extensions'
  | 'roles'
  | 'tablespaces'
  | 'properties'
  | 'migrationHead'
  | 'triggersChecksum'
  | 'constraintTriggers'
>;

/** What the manifest says about a database apart from its tables, as the snapshot of the transaction `db` is in sees it. */
export async function describeDatabase(db: Queryable, database: string): Promise<DatabaseDescription> {
  const { serverVersion, serverMajor } = await readDatabaseFacts(db);
  return {
    serverVersion,
    serverMajor,
    lsn: await readLsn(db),
    stamp: await stampOf(db),
    extensions: [...(await readExtensions(db))],
    roles: await readReferencedRoles(db),
    tablespaces: await readUsedTablespaces(db),
    properties: await propertiesOf(db, database),
    migrationHead: await readMigrationHead(db),
    triggersChecksum: await triggersChecksumOf(db),
    constraintTriggers: await readConstraintTriggerModes(db),
  };
}

async function readLsn(db: Queryable): Promise<string | null> {
  const { rows } = await db.query<{ lsn: string | null }>(`
    select (case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
      else pg_catalog.pg_current_wal_lsn() end)::text as lsn`);
  return rows[0]?.lsn ?? null;
}

async function stampOf(db: Queryable): Promise<Manifest['stamp']> {
  const { hasRecords } = await readObservation(db);
  const stamp = hasRecords ? await readStamp(db) : null;
  return stamp === null ? null : { environment: stamp.environment, protected: stamp.protected };
}

async function propertiesOf(db: Queryable, database: string): Promise<Manifest['properties']> {
  const properties = await readDatabaseProperties(db, database);
  if (properties === null) throw new ManageDbError('DATABASE_MISSING', `${database} is not in pg_database.`);
  return properties;
}

/** Of what is installed and how, not of when and by whom, nor of when somebody looked at it last. */
export async function triggersChecksumOf(db: Queryable): Promise<string | null> {
  const { triggers, functions } = await readTriggerRecords(db, null);
  if (triggers.length === 0 && functions.length === 0) return null;
  const said = [
    ...triggers.map(({ schema, table, name, version, declaredMode, wantedMode, checksum, definition, source, pack }) =>
      JSON.stringify([
        'trigger',
        schema,
        table,
        name,
        version,
        declaredMode,
        wantedMode,
        checksum,
        definition,
        source,
        pack,
      ]),
    ),
    ...functions.map(({ schema, name, definition, owner, isSecurityDefiner, fileChecksum }) =>
      JSON.stringify(['function', schema, name, definition, owner, isSecurityDefiner, fileChecksum]),
    ),
  ];
  return createHash('sha256').update(said.sort().join('\n')).digest('hex');
}

/** The newest migration, where manage_db's own table is there and may be read: a failed statement would end the snapshot. */
async function readMigrationHead(db: Queryable): Promise<string | null> {
  const { rows: readable } = await db.query(MIGRATIONS_READABLE);
  if (readable.length === 0) return null;
  const { rows } = await db.query<{ version: string }>(
    `select version::text from manage_db.migrations where version::text operator(pg_catalog.~) '^[0-9]+$'`,
  );
  return newestVersion(rows.map(({ version }) => version));
}

/** By oid: the functions that take a name fail where there is no such schema. */
const MIGRATIONS_READABLE = `
  select
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = c.oid
  where n.nspname = 'manage_db' and c.relname = 'migrations' and a.attname = 'version' and not a.attisdropped
    and pg_catalog.has_schema_privilege(n.oid, 'usage')
    and pg_catalog.has_table_privilege(c.oid, 'select')`;

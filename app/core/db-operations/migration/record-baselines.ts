import type { Queryable } from '../../../database/queryable.js';
import { currentActor } from '../../../services/actor.js';
import { packageVersion } from '../../../services/package-root.js';
import type { Migration } from './migration-files.js';

/** Records `migrations` as in place without having been executed. Belongs to the transaction of `db`. */
export async function recordBaselines(db: Queryable, migrations: readonly Migration[]): Promise<void> {
  await db.query(
    `insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool, is_baseline)
     select version, name, checksum, 0, coalesce($4, session_user), $5, true
     from rows from (
       pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])
     ) as baseline (version, name, checksum)`,
    [
      migrations.map(({ version }) => version),
      migrations.map(({ name }) => name),
      migrations.map(({ checksum }) => checksum),
      currentActor(),
      `manage_db ${packageVersion()}`,
    ],
  );
}

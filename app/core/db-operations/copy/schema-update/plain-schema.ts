import { tmpdir } from 'node:os';
import type { FactBase } from '@supabase/pg-delta';
import {
  readConstraintTriggerModes,
  switchConstraintTriggers,
} from '../../../../database/catalog/constraint-trigger-modes.js';
import { readForeignMaterializedViews } from '../../../../database/catalog/foreign-materialized-views.js';
import { findClientTools } from '../../../../services/client-tools.js';
import { withWorkFolder } from '../../../../services/work-folder.js';
import { NOTHING_LEFT_OUT } from '../../backup/left-out-parts.js';
import type { Sides } from '../../compare/side.js';
import type { Entry } from '../../database-state/contents.js';
import { LEFT_AT_HOME } from '../left-at-home.js';
import { readDefinitions } from '../stream/definitions.js';
import { holdsPasswords } from '../stream/left-out-definitions.js';
import { isOfEventTrigger } from '../stream/order.js';
import { hideSecrets } from './hide-secrets.js';

/** What pg_dump's statements are meant for. */
export const SCRIPT_SETTINGS = [{ name: 'check_function_bodies', value: 'off' }];

/** Milliseconds that a table of the source is waited for. */
const LOCK_TIMEOUT_MS = 60_000;

/** Whether there is nothing but what a new database has, and what is manage_db's own. */
export function isEmptySchema(present: FactBase): boolean {
  return present.facts().every(({ id }) => {
    const at = 'target' in id ? id.target : id;
    if (at.kind === 'schema' && at.name === 'public') return true;
    if (at.kind === 'extension' && at.name === 'plpgsql') return true;
    return present.isReferenceOnly(id) || id.kind === 'defaultPrivilege';
  });
}

/**
 * What makes the schema of FROM in an empty database, by pg_dump: it knows every kind of object, and in which order they can be
 * made. At the moment that `sides` see.
 *
 * @throws ManageDbError `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`, `LOCK_TIMEOUT`, `INTERRUPTED`
 */
export async function plainSchema(
  { from, to, signal }: Sides,
  withGrants: boolean,
): Promise<{ readonly sql: string; readonly shown: string }[]> {
  const { client, target } = from;
  const tools = await findClientTools({
    serverMajor: Math.max(from.major, to.major),
    binDir: to.target.settings.pgBinDir,
  });
  const { rows } = await client.query<{ id: string }>('select pg_catalog.pg_export_snapshot() as id');
  const parts = {
    ...NOTHING_LEFT_OUT,
    owners: !withGrants,
    grants: !withGrants,
    tablespaces: true,
    extensions: LEFT_AT_HOME,
  };
  return withWorkFolder(tmpdir(), async (folder) => {
    const { before, after, grants, sql } = await readDefinitions({
      ...{ tools, settings: target.settings, folder, signal, parts, lockTimeoutMs: LOCK_TIMEOUT_MS },
      snapshot: rows[0]?.id ?? '',
      encoding: from.properties.encoding,
      options: ['--exclude-schema=manage_db'],
      isLeftOut: holdsPasswords,
      unpopulated: new Set((await readForeignMaterializedViews(client)).map(({ oid }) => oid)),
    });
    const kept = [...before, ...after];
    const isRefresh = ({ kind }: Entry) => kind === 'MATERIALIZED VIEW DATA';
    const entries = [
      ...kept.filter((entry) => !isRefresh(entry) && !isOfEventTrigger(entry)),
      // the owner of a materialized view reads by them
      ...(withGrants ? grants : []),
      ...kept.filter(isRefresh),
      // they would be called for what follows
      ...kept.filter(isOfEventTrigger),
    ];
    const modes = await readConstraintTriggerModes(client);
    const switches = switchConstraintTriggers(modes);
    return [
      ...entries.flatMap(({ id }) => {
        const text = sql.get(id)?.trim() ?? '';
        return text === '' ? [] : [{ sql: text, shown: hideSecrets(text) }];
      }),
      ...(modes.length === 0 ? [] : [{ sql: switches, shown: switches }]),
    ];
  });
}

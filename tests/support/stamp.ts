import { getConfig } from '../../app/config/db-config.js';
import { stampDatabase } from '../../app/core/db-operations/stamp.js';
import { withKillSwitchOverride } from '../../app/core/safety/override.js';
import type { Queryable } from '../../app/database/queryable.js';
import { writeStamp } from '../../app/database/records/identity.js';
import { ensureSchema } from '../../app/database/schema/ensure-schema.js';
import type { ScratchWorkspace } from './scratch-workspace.js';

/** Stamps the database of `env` with the whole ceremony: what is not empty and on no server of its own wants that first. */
export function stampFor(workspace: ScratchWorkspace, env: string): Promise<unknown> {
  return workspace.run(async () => {
    const { connection } = await getConfig(env);
    const confirm = `EXECUTE STAMP_DATABASE ON ${connection.database}`;
    return withKillSwitchOverride({}, () => stampDatabase({ env, consent: { confirm, reason: 'for a test' } }));
  });
}

/** Stamps the database of `db` without asking anybody, as its owner could. */
export async function stampAs(db: Queryable, environment: 'development' | 'testing' | 'production'): Promise<void> {
  const isProtected = environment === 'production';
  await ensureSchema(db);
  await writeStamp(db, {
    environment,
    protected: isProtected,
    killSwitch: isProtected,
    expectedHosts: [],
    stampedBy: 'test',
    reason: null,
    lineage: [],
  });
}

import { getConfig } from '../../../../config/db-config.js';
import { readEmbeddedEndpoint } from '../../../../config/embedded-endpoint.js';
import { readStamp } from '../../../../database/records/identity.js';
import { readObservation } from '../../../../database/records/observation.js';
import { judgeStamp } from '../../../safety/stamp.js';
import { workspaceRoot } from '../../../workspace-root.js';
import { ok, type RunCheck, toBeReader } from '../check.js';

/** Whether the database is what its environment says, and nobody can take it for another one. */
export const checkIdentityStamp: RunCheck = async (db, { environment, host, port, user }) => {
  const observation = await readObservation(db);
  const stamp = observation.hasRecords ? await readStamp(db) : null;
  const { security } = await getConfig();
  const { expectedHosts } = security;
  const { state, because } = judgeStamp(stamp, { ...observation, host, port }, { environment, expectedHosts });
  const fix = `manage_db stamp-database --env ${environment}`;
  switch (state) {
    case 'trusted':
      return ok(state, because);
    case 'unstamped': {
      if (observation.hasHiddenRecords)
        return { status: 'warning', value: null, detail: because, fix: toBeReader({ environment, user }) };
      const isOwn = readEmbeddedEndpoint(workspaceRoot())?.systemIdentifier === observation.systemIdentifier;
      const detail = `${because} ${isOwn ? 'It is on our own server.' : 'Nothing is changed in it before somebody has.'}`;
      return { status: isOwn ? 'info' : 'warning', value: state, detail, fix };
    }
    case 'mismatch':
      return { status: 'critical', value: state, detail: because, fix: `manage_db show-config --env ${environment}` };
    default:
      return { status: 'critical', value: state, detail: because, fix };
  }
};

import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { listBackups } from '../../../app/core/db-operations/list-backups.js';
import { failureOf } from '../../support/failure-of.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';

describe('listing backups', () => {
  let workspace: ScratchWorkspace;
  let silent: Server;
  before(async () => {
    // it takes every request, and answers none
    silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const keys = 'AWS_ACCESS_KEY_ID=id\nAWS_SECRET_ACCESS_KEY=key\n';
    workspace = scratchWorkspace({ '.env.testing': keys, '.env.development': keys });
  });
  after(async () => {
    silent.closeAllConnections();
    silent.close();
    await workspace.remove();
  });

  it('stops when it is interrupted, however long the storage takes', async () => {
    const { port } = silent.address() as AddressInfo;
    const storage = `s3://clinic/db1?endpoint=http://127.0.0.1:${port}&region=us-east-1`;
    const started = performance.now();
    for (const env of [{ env: 'testing' }, {}]) {
      const signal = AbortSignal.timeout(200);
      expect(await failureOf(workspace.run(() => listBackups({ ...env, storage, signal })))).to.include({
        code: 'INTERRUPTED',
      });
    }
    expect(performance.now() - started).to.be.lessThan(10_000);
  });

  it('does not begin when it is interrupted before', async () => {
    const signal = AbortSignal.abort();
    expect(await failureOf(workspace.run(() => listBackups({ env: 'testing', signal })))).to.include({
      code: 'INTERRUPTED',
    });
  });
});

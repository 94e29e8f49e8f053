import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';

const MODULE = pathToFileURL(join(import.meta.dirname, '../../app/services/untimely-end.ts')).href;

describe('a process that a signal ends', () => {
  it('cleans up everything, the newest first, also when one of them fails, and ends by the signal', () => {
    const program = `
      import { writeSync } from 'node:fs';
      import { onUntimelyEnd } from ${JSON.stringify(MODULE)};
      onUntimelyEnd(() => writeSync(1, 'first '));
      onUntimelyEnd(() => { throw new Error('ENOTEMPTY'); });
      onUntimelyEnd(() => writeSync(1, 'last '));
      setInterval(() => undefined, 1000);
      process.kill(process.pid, 'SIGINT');`;
    const { stdout, signal } = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', program],
      {
        encoding: 'utf8',
        timeout: 100_000,
      },
    );
    expect({ stdout, signal }).to.deep.equal({ stdout: 'last first ', signal: 'SIGINT' });
  });
});

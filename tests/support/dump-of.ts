import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { findClientTools } from '../../app/services/client-tools.js';

/** What pg_dump writes of a database, as text; without what is another one each time. */
export async function dumpOf(url: string, ...options: readonly string[]): Promise<string> {
  const { pgDump } = await findClientTools();
  const { status, stdout, stderr } = spawnSync(pgDump, [...options, `--dbname=${url}`], {
    encoding: 'utf8',
    maxBuffer: 1 << 29,
  });
  expect(status, stderr).to.equal(0);
  return stdout.replace(/^\\(un)?restrict .*\n/gm, '');
}

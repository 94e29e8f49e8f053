/**
 * One of the processes of `npm test`: it has a server of its own, and runs the test files that it is told, one after the
 * other. After each it prints a line with the numbers, {@link LANE_MARK} before them, and waits for the next file.
 */
import { inspect } from 'node:util';
import Mocha from 'mocha';
import options from '../../.mocharc.json' with { type: 'json' };
import { emptyServer } from './empty-server.js';
import { mochaGlobalSetup, mochaGlobalTeardown } from './global-setup.js';

const LANE_MARK = '\u0000lane ';

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const send = (outcome: Outcome): void => {
  process.stdout.write(`${LANE_MARK}${JSON.stringify(outcome)}\n`);
};

async function run(file: string): Promise<Outcome> {
  const mocha = new Mocha({ forbidOnly: true, timeout: options.timeout, slow: options.slow, reporter: 'spec' });
  mocha.addFile(file);
  await mocha.loadFilesAsync();
  const stats = await new Promise<Mocha.Runner['stats']>((resolve) => {
    const runner = mocha.run(() => resolve(runner.stats));
  });
  mocha.dispose();
  await emptyServer();
  const { passes = 0, failures = 0, pending = 0 } = stats ?? {};
  return { passed: passes, failed: failures, skipped: pending };
}

let isEnding = false;
const end = async (code: number): Promise<void> => {
  if (isEnding) return;
  isEnding = true;
  await mochaGlobalTeardown();
  process.exit(code);
};
process.on('disconnect', () => void end(0));
process.once('SIGINT', () => void end(130));
process.once('SIGTERM', () => void end(143));
process.on('message', (file: string) => {
  run(file).then(send, (error: unknown) => {
    process.stdout.write(`${inspect(error)}\n`);
    return end(1);
  });
});
await mochaGlobalSetup();
send({ passed: 0, failed: 0, skipped: 0 });

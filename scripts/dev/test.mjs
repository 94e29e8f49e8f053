// `npm test`: client tools where they are missing, a build, then the tests, in several processes that have a server each.
// Of the files only those that are soon over: `*.long.test.ts` wants `--long`, `*.fault.test.ts` (what kills, cuts and
// fills up) `--fault`; `--all` runs everything, `--named=PATTERN` what has such a path. With files: only these, by mocha.
import { fork, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
/** The tests wait for servers and processes about half of their time. */
const LANES = Number(process.env.TEST_LANES ?? 2 * availableParallelism());
const MARK = '\u0000lane ';

run(join(root, 'scripts', 'dev', 'ensure-client-tools.mjs'));
run(join(root, 'scripts', 'dev', 'build.mjs'), '--no-types');
const chosen = process.argv.slice(2);
const files = chosen.filter((argument) => !argument.startsWith('--'));
if (files.length > 0) run(join(root, 'node_modules', 'mocha', 'bin', 'mocha.js'), ...chosen);
else process.exit(await runAll(testFiles(chosen[0])));

function run(script, ...args) {
  const { status, signal } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? (signal === 'SIGINT' ? 130 : 1));
}

/** The long ones first: what is begun last should be over soon. */
function testFiles(which = '--quick') {
  const kindOf = (name) => /\.(long|fault)\.test\.ts$/.exec(name)?.[1] ?? 'quick';
  const [flag, pattern = ''] = which.split('=');
  const isChosen = {
    '--all': () => true,
    '--named': (name) => new RegExp(pattern).test(name),
    '--quick': (name) => kindOf(name) === 'quick',
    '--long': (name) => kindOf(name) === 'long',
    '--fault': (name) => kindOf(name) === 'fault',
  }[flag];
  if (isChosen === undefined) throw new Error(`${flag} is none of --quick, --long, --fault, --all, --named=PATTERN`);
  return readdirSync(join(root, 'tests'), { recursive: true })
    .filter((name) => name.endsWith('.test.ts') && isChosen(name))
    .sort((a, b) => Number(kindOf(a) === 'quick') - Number(kindOf(b) === 'quick') || (a < b ? -1 : 1));
}

/** Every lane takes the next file when it has ended one; what a file has printed is shown when it is over. */
async function runAll(waiting) {
  const started = Date.now();
  const outcomes = [];
  const lanes = Array.from({ length: Math.min(LANES, waiting.length) }, () => lane(waiting, outcomes));
  const ends = await Promise.all(lanes);
  const failures = outcomes.filter(({ failed }) => failed > 0);
  // what failed stands far above by now
  for (const { output } of failures) process.stdout.write(output.slice(output.search(/^\s*\d+ passing\b/m)));
  const sum = (name) => outcomes.reduce((total, outcome) => total + outcome[name], 0);
  const slowest = outcomes.sort((a, b) => b.seconds - a.seconds).slice(0, 5);
  process.stdout.write(
    `${Math.round((Date.now() - started) / 1000)} s in ${lanes.length} lanes; the longest: ${slowest.map(({ file, seconds }) => `${file} ${seconds} s`).join(', ')}\n`,
  );
  if (outcomes.length === 0) process.stdout.write('No test file has such a name.\n');
  const lost = ends.reduce((total, count) => total + count, 0);
  const skipped = sum('skipped');
  process.stdout.write(
    `${sum('passed')} passed, ${sum('failed') + lost} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
  );
  return outcomes.length === 0 || sum('failed') + lost > 0 ? 1 : 0;
}

/**
 * Resolves with 1 when the process ends before its work has, which counts as a failure. The numbers come with the output,
 * and not as messages, so that they stand behind what they count.
 */
function lane(waiting, outcomes) {
  const child = fork(join(root, 'tests', 'support', 'lane.ts'), {
    cwd: root,
    execArgv: ['--import', 'tsx/esm'],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  let file;
  let begun = 0;
  let output = '';
  const next = () => {
    file = waiting.shift();
    begun = Date.now();
    output = '';
    if (file === undefined) child.disconnect();
    else child.send(join(root, 'tests', file));
  };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
    const mark = output.indexOf(MARK);
    const end = output.indexOf('\n', mark);
    if (mark === -1 || end === -1) return;
    const outcome = JSON.parse(output.slice(mark + MARK.length, end));
    if (file !== undefined) {
      const seconds = Math.round((Date.now() - begun) / 1000);
      outcomes.push({ file, seconds, output: output.slice(0, mark), ...outcome });
      process.stdout.write(`${output.slice(0, mark).trimEnd()}\n  tests/${file}, ${seconds} s\n`);
    }
    next();
  });
  return new Promise((resolve) => {
    child.once('exit', (code) => {
      if (file === undefined && code === 0) return resolve(0);
      process.stdout.write(`${output}\n${file ?? 'The server of the tests'}: the process ended with ${code}\n`);
      resolve(1);
    });
  });
}

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import { describeConfig, getConfig, getDatabaseUrlForEnv, ManageDbError } from '../../../app/index.js';
import { expectEqual, expectExit, expectRefusal, expectThat, Unexpected } from '../expectations.js';
import type { Suite } from '../feature-test.js';
import { NOWHERE } from '../scratch-workspace.js';

/** Which settings there are, where they come from, and that none is taken from another environment. */
export function testConfiguration(suite: Suite): void {
  suite.installation(
    'every line of every .env file is a setting',
    'nothing',
    async ({ installation: { root }, note }) => {
      const files = envFiles(root);
      for (const file of files) refuseStrangeLines(root, file);
      note(files.length === 0 ? 'There are none.' : `${files.join(', ')}.`);
    },
  );

  suite.installation('every environment that is configured is configured well', 'nothing', async (running) => {
    const { root, environments } = running.installation;
    const configured: string[] = [];
    const warned = new Set<string>();
    for (const environment of environments) {
      const { problems, warnings } = await describeConfig(environment, { workspace: root, mayRunCommands: false });
      // without a database it is not configured, unless somebody has tried
      const serious = problems.filter(({ code, details }) => code !== 'MISSING_SETTING' || 'misspelt' in details);
      const [problem] = serious;
      if (problem !== undefined) throw inItsFile(root, environment, problem);
      if (problems.length === 0) configured.push(environment);
      for (const warning of warnings) warned.add(warning);
    }
    running.note([`Configured: ${configured.join(', ') || 'none'}.`, ...warned].join(' '));
  });

  suite.installation('the selected environment has a database', 'environment', async ({ installation, note }) => {
    const { problem, config } = installation;
    if (problem !== null) throw problem;
    note(
      `${config?.connection?.database}, ${config?.values.find(({ name }) => name === 'databaseUrl')?.source ?? 'from several settings'}.`,
    );
  });

  suite.library('gives each environment its own database', async ({ scratch }) => {
    for (const environment of ['development', 'testing', 'production'] as const) {
      const { connection } = await getConfig(environment);
      expectEqual(`The database of ${environment}`, connection.database, scratch.databases[environment]);
    }
    const url = await getDatabaseUrlForEnv('testing');
    expectThat(url.includes(scratch.databases.testing), 'The URL of testing is not the one of its database.');
  });

  suite.library("refuses an environment without a database, and takes no other's", async () => {
    const error = await expectRefusal('The configuration of staging', getConfig('staging'), 'MISSING_SETTING');
    expectThat(error.message.includes('STAGING_DATABASE_URL'), 'The error does not say which variable is missing.');
  });

  suite.library('refuses a URL that is none, without showing its password', async ({ scratch }) => {
    const before = scratch.read('.env.staging');
    try {
      scratch.write({ '.env.staging': `DATABASE_URL=postgresql://app:feature-test-secret@[half/clinic\n` });
      const error = await expectRefusal('A broken URL', getConfig('staging'), 'INVALID_DATABASE_URL');
      expectThat(!error.message.includes('feature-test-secret'), 'The error shows the password of the URL.');
    } finally {
      scratch.write({ '.env.staging': before });
    }
  });

  suite.cli('show-config says where each value comes from, and masks passwords', async ({ scratch }) => {
    const result = await scratch.manageDb(['show-config', '--env', NOWHERE.environment]);
    expectExit(result, 0);
    expectThat(result.stdout.includes(`.env.${NOWHERE.environment}`), 'show-config does not name the file of a value.');
    expectThat(!`${result.stdout}${result.stderr}`.includes(NOWHERE.password), 'show-config shows a password.');
  });

  suite.cli('a command on an environment without a database is refused', async ({ scratch }) => {
    expectExit(await scratch.manageDb(['inspect-db', '--env', 'staging']), 2, 'MISSING_SETTING');
  });
}

function envFiles(root: string): readonly string[] {
  return readdirSync(root)
    .filter((name) => /^\.env(\.|$)/.test(name) && name !== '.env.example')
    .sort();
}

/** dotenv passes over what it does not understand: a setting that somebody has written would silently not count. */
function refuseStrangeLines(root: string, file: string): void {
  const text = readFileSync(join(root, file), 'utf8');
  const continued = new Set(
    Object.values(parseDotenv(text)).flatMap((value) => (value.includes('\n') ? value.split('\n') : [])),
  );
  const lines = text.split(/\r?\n/);
  const at = lines.findIndex((line) => {
    const isBlank = /^\s*(#.*)?$/.test(line);
    const isContinued = continued.has(line) || continued.has(line.replace(/["'`]\s*$/, ''));
    return !isBlank && !isContinued && Object.keys(parseDotenv(line)).length === 0;
  });
  if (at < 0) return;
  throw new Unexpected(
    // not what stands there: it may be a password without its name
    `${file}, line ${at + 1}, is no setting.`,
    `Write it as NAME=value, or begin it with #, in ${join(root, file)}.`,
  );
}

/** Says also in which file the setting stands that is wrong. */
function inItsFile(root: string, environment: string, problem: ManageDbError): ManageDbError {
  const { setting } = problem.details;
  const names =
    typeof setting === 'string' ? [setting] : (problem.message.match(/\b[A-Z][A-Z0-9_]*_[A-Z0-9_]+\b/g) ?? []);
  const candidates = [`.env.${environment}.local`, `.env.${environment}`, '.env'];
  const file = candidates.find((name) => {
    const variables = envFiles(root).includes(name) ? parseDotenv(readFileSync(join(root, name))) : {};
    return names.some((one) => Object.hasOwn(variables, one));
  });
  const where = file === undefined ? environment : `${environment}, in ${file}`;
  return new ManageDbError(problem.code, `${where}: ${problem.message}`, {
    hint: problem.hint ?? `manage_db show-config --env ${environment}`,
    cause: problem,
  });
}

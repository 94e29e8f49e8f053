/**
 * `npm run quickstart`: the main job, end to end, on the embedded server. Runs the real CLI and prints each command before
 * its output; only the rows in between are written through the library, as an application would.
 */
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withWorkspaceRoot } from '../app/core/workspace-root.js';
import { closeEngines, type DbSession, describeConfig, getDbSession, ManageDbError, withActor } from '../app/index.js';
import { asManageDbError } from '../app/services/database-errors.js';
import { packageRoot } from '../app/services/package-root.js';
import { renderError } from './presenters/error.js';
import { paintFor } from './presenters/paint.js';
import { renderTable } from './presenters/table.js';
import { formatDuration } from './presenters/units.js';

const root = packageRoot();
const cli = join(dirname(fileURLToPath(import.meta.url)), 'manage_db.js');
const paint = paintFor(process.stdout, true);
const started = performance.now();

// whatever database this shell points at, the quickstart works on its own
for (const name of Object.keys(process.env)) {
  if (/^PG|DATABASE_URL$|^(MANAGE_DB_ENV|APP_ENV|CONFIRMATION_TEXT)$/.test(name)) delete process.env[name];
}

try {
  await withWorkspaceRoot(root, tour);
  process.stdout.write(`${nextSteps()}\n`);
} catch (error) {
  const shown = asManageDbError(error);
  process.stderr.write(`${renderError(shown, paint, false)}\n`);
  process.exitCode = 1;
} finally {
  await closeEngines();
}

async function tour(): Promise<void> {
  const { connection } = await describeConfig('development');
  if (connection?.server !== 'embedded') {
    throw new ManageDbError(
      'USAGE',
      'The quickstart drops tables, so it runs on the embedded server only, and development is configured to be elsewhere.',
      {
        hint: `Move the connection out of the .env files or the configuration file of ${root} for the time being.`,
      },
    );
  }
  await manageDb('switch-env', 'development');
  title('A database, its tables, and about 50,000 rows');
  await manageDb('initialize-db', '--seed');
  title('Base triggers on every table that has the columns; again, and nothing changes');
  await manageDb('apply-db-triggers');
  await manageDb('inspect-db', '--triggers', '--schema', 'clinic');
  title('The triggers at work');
  await showTriggers();
  title('A backup, a mistake, and the way back');
  await manageDb('create-backup', '--label', 'quickstart');
  await manageDb('drop-all-tables');
  await manageDb('inspect-db', '--tables', '--schema', 'public');
  await manageDb('restore-backup', 'latest');
  await sql('select count(*) as patients from clinic.patients');
  await manageDb('check-database');
}

async function showTriggers(): Promise<void> {
  const row =
    "select name, created_by, updated_by, updated_at > created_at as changed_later from clinic.roles where name = 'data steward'";
  await as('dr.meier', "delete from clinic.roles where name = 'data steward'");
  await as('dr.meier', "insert into clinic.roles (name, description) values ('data steward', 'Cares for the data')");
  await sql(row);
  await as(
    'reception',
    "update clinic.roles set description = 'Cares for the data, and for nothing else' where name = 'data steward'",
  );
  await sql(row);
}

/** Runs the CLI as a user would, its output shown as it comes. */
async function manageDb(...args: readonly string[]): Promise<void> {
  process.stdout.write(`\n${paint.bold(paint.green('$'))} ${paint.bold(`manage_db ${args.join(' ')}`)}\n`);
  const child = spawn(process.execPath, [cli, ...args], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
  if (code === 0) return;
  throw new ManageDbError('USAGE', `manage_db ${args.join(' ')} ended with exit code ${code ?? 'none'}.`, {
    hint: 'See what is missing: npx manage_db doctor',
  });
}

async function as(user: string, statement: string): Promise<void> {
  process.stdout.write(`\n${paint.dim(`-- as ${user}`)}\n${paint.bold(statement)}\n`);
  await withActor(user, () => getDbSession((session) => session.query(statement), { env: 'development' }));
}

async function sql(query: string): Promise<void> {
  process.stdout.write(`\n${paint.bold(query)}\n`);
  const read = (session: DbSession) => session.query<Record<string, unknown>>(query);
  const { rows, fields } = await getDbSession(read, { env: 'development', readOnly: true });
  const cells = rows.map((row) => fields.map(({ name }) => String(row[name])));
  process.stdout.write(
    `${renderTable(
      paint,
      fields.map(({ name }) => name),
      cells,
    )}\n`,
  );
  // the restore refuses a database that somebody uses, and that would be us
  await closeEngines();
}

function title(text: string): void {
  process.stdout.write(`\n${paint.cyan(`── ${text}`)}\n`);
}

function nextSteps(): string {
  return [
    '',
    `${paint.green('✓')} That was the whole round, in ${formatDuration(performance.now() - started)}. Try next:`,
    '  npx manage_db --help                              every command, and each has its own --help',
    '  npx manage_db inspect-db --table billing.invoices   one table in full',
    '  npx manage_db list-all-backups                    what there is to go back to',
    '  npx manage_db switch-env --status                 which environment is active, and why',
    '  npx manage_db show-config --env production        what production would need',
    '  npx manage_db embedded-db stop                    stop the server; the data stay',
  ].join('\n');
}

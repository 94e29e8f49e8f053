import type { TestedMigrations } from '../../app/core/db-operations/test-migrations.js';
import { ManageDbError } from '../../app/core/errors.js';
import { defineCommand } from '../command.js';
import { envFlag } from '../env-flag.js';
import { renderTestedMigrations } from '../presenters/tested-migrations.js';
import { formatCounted } from '../presenters/units.js';

interface Args {
  readonly versions?: readonly (string | number)[];
  readonly all?: boolean;
  readonly strict?: boolean;
  readonly allowServerWide?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: true,
  repeatable: ['versions'],
  examples: [
    ['test-db-migration', 'the pending migrations, or all where none is pending'],
    ['test-db-migration 20261121093000', 'one of them, after those before it'],
    ['test-db-migration --all --strict', 'every migration, and each must have a way down'],
  ],
  exitCodes: { 1: 'when a migration fails its test' },
  builder: (yargs) =>
    yargs
      .positional('versions', {
        type: 'string',
        array: true,
        describe: 'Versions, beginnings of them, or names; by default those that are pending',
      })
      .option('all', { type: 'boolean', describe: 'Every migration' })
      .option('strict', { type: 'boolean', describe: 'Also fail where a migration has no way down' })
      .option('allow-server-wide', {
        type: 'boolean',
        describe: 'Let migrations change roles and the like, which happens on the server, in earnest',
      }),
  async run({ versions = [], all, strict, allowServerWide }, { operation }) {
    const { testMigrations } = await import('../../app/core/db-operations/test-migrations.js');
    const result = await testMigrations({ ...operation, versions: versions.map(String), all, strict, allowServerWide });
    const error = failureOf(result, operation.env);
    return {
      data: result,
      warnings: result.warnings,
      text: (paint) => renderTestedMigrations(result, paint),
      ...(error === null ? {} : { error }),
    };
  },
});

function failureOf({ ok, tested }: TestedMigrations, env: string | undefined): ManageDbError | null {
  if (ok) return null;
  const failed = tested.filter((one) => !one.ok);
  const [first] = failed;
  return new ManageDbError(
    'SQL_FAILED',
    `${formatCounted(failed.length, 'migration')} failed on a scratch database; no other one was changed.`,
    {
      hint: `Correct it, then: manage_db test-db-migration ${first?.version}${envFlag(env)}`,
      details: { failed: failed.map(({ version, name }) => ({ version, name })) },
    },
  );
}

import { wayBack } from '../way-back.js';

export const command = wayBack(
  [
    ['rollback-db-migration --dry-run', 'what the last one loses when it is taken back'],
    ['rollback-db-migration', 'the last one; says what is lost, and asks'],
    ['rollback-db-migration --to 20261101120000', 'all that are newer than this one'],
  ],
  async (options) => (await import('../../app/core/db-operations/migrations.js')).rollbackMigration(options),
);

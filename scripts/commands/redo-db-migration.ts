import { wayBack } from '../way-back.js';

export const command = wayBack(
  [
    ['redo-db-migration', 'the last one: down and up again, while it is being written'],
    ['redo-db-migration --steps 3', 'the last three'],
  ],
  async (options) => (await import('../../app/core/db-operations/migrations.js')).redoMigration(options),
);

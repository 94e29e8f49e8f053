import { readSchemas } from '../../../database/catalog/schemas.js';
import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import { nearest } from '../../nearest.js';
import { nextCommand } from '../../next-command.js';

/** @throws ManageDbError `NOT_FOUND` with the schemas that there are */
export async function requireSchema(db: Queryable, schema: string): Promise<void> {
  const [found] = await readSchemas(db, { schema });
  if (found !== undefined) return;
  const schemas = (await readSchemas(db)).map(({ name }) => name);
  const suggestion = nearest(schema, schemas);
  throw new ManageDbError(
    'NOT_FOUND',
    `There is no schema ${schema}. ${schemas.length === 0 ? 'The database has none.' : `There are: ${schemas.join(', ')}.`}`,
    {
      hint: suggestion ? `Did you mean --schema '${suggestion}'?` : `${nextCommand('inspect-db')} shows all schemas.`,
      details: { schema, schemas, suggestion },
    },
  );
}

import pg from 'pg';

/** The error of PostgreSQL with which `action` is expected to be refused; anything else is a failure of the test. */
export async function refusalOf(action: () => Promise<unknown>): Promise<pg.DatabaseError> {
  const error: unknown = await action().then(
    () => new Error('nothing was refused'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof pg.DatabaseError) return error;
  throw error;
}

import { ManageDbError, messageOf } from '../../app/core/errors.js';

/** The error of work that is expected to fail as manage_db fails; anything else is a failure of the test. */
export async function failureOf(work: Promise<unknown>): Promise<ManageDbError> {
  const failure = await work.then(
    () => new Error('It succeeded.'),
    (error: unknown) => error,
  );
  if (failure instanceof ManageDbError) return failure;
  throw new Error(`no ManageDbError: ${messageOf(failure)}`, { cause: failure });
}

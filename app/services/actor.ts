import { AsyncLocalStorage } from 'node:async_hooks';

const actors = new AsyncLocalStorage<string>();

/**
 * Runs `fn` on behalf of `user`: every session that is opened in it, however deep in asynchronous calls, tells the
 * database this user as `app.current_user`.
 *
 * @param user the application's user, as it shall stand in `created_by` and the audit log
 * @example await withActor(request.user.id, () => saveInvoice(invoice));
 */
export function withActor<T>(user: string, fn: () => T): T {
  return actors.run(user, fn);
}

/** The user of the innermost {@link withActor}, or `null`. */
export function currentActor(): string | null {
  return actors.getStore() ?? null;
}

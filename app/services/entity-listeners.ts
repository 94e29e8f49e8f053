import type { DbSession } from './session.js';

/** A row on its way into the database; listeners may change it. */
export type EntityValues = Record<string, unknown>;

export interface ListenerContext {
  readonly session: DbSession;
  /** As it was defined: `clinic.patients`. */
  readonly table: string;
  readonly event: 'insert' | 'update';
}

/**
 * Called with the values before they become a statement. What it throws does not stop the statement, and what it had
 * changed by then is taken back: the triggers of the database are the safety net, see {@link onListenerError}.
 */
export type EntityListener = (values: EntityValues, context: ListenerContext) => void | Promise<void>;

type ErrorListener = (error: unknown, context: ListenerContext) => void;

const listeners = { insert: new Map<object, Set<EntityListener>>(), update: new Map<object, Set<EntityListener>>() };
const errorListeners = new Set<ErrorListener>();

/**
 * Calls `listener` before each INSERT through an entity, or through every entity that has a mixin. Returns the function
 * that unsubscribes.
 *
 * @param source an entity or a mixin
 * @example beforeInsert(patients, (values) => { values.name = String(values.name).trim(); });
 */
export function beforeInsert(source: object, listener: EntityListener): () => void {
  return listen(listeners.insert, source, listener);
}

/**
 * Calls `listener` before each UPDATE through an entity, or through every entity that has a mixin, with the changes.
 *
 * @param source an entity or a mixin
 * @example beforeUpdate(timestampMixin, (changes, { table }) => log.debug({ table, changes }));
 */
export function beforeUpdate(source: object, listener: EntityListener): () => void {
  return listen(listeners.update, source, listener);
}

/** Calls `listener` with what a listener of an entity has thrown. Returns the function that unsubscribes. */
export function onListenerError(listener: ErrorListener): () => void {
  errorListeners.add(listener);
  return () => errorListeners.delete(listener);
}

/** `values` as the listeners of `sources` leave them, one after the other in the order of their subscription. */
export async function heard(
  values: EntityValues,
  sources: readonly object[],
  context: ListenerContext,
): Promise<EntityValues> {
  let present = values;
  for (const listener of sources.flatMap((source) => [...(listeners[context.event].get(source) ?? [])])) {
    const changed = { ...present };
    try {
      await listener(changed, context);
      present = changed;
    } catch (error) {
      for (const report of errorListeners) report(error, context);
    }
  }
  return present;
}

function listen(known: Map<object, Set<EntityListener>>, source: object, listener: EntityListener): () => void {
  const own = known.get(source) ?? new Set();
  known.set(source, own.add(listener));
  return () => own.delete(listener);
}

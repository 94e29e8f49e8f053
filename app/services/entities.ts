type DeepReadonly<T> = T extends Date | Uint8Array
  ? T
  : T extends readonly (infer Item)[]
    ? readonly DeepReadonly<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
      : T;

/**
 * A deep, frozen, plain copy that may outlive its session: changing the original does not change it, and it cannot be
 * changed by mistake. Instances become plain objects of their own properties; functions are left out; circles are kept.
 * Dates and binary values are copied (JavaScript cannot freeze them).
 *
 * @example const invoice = await getDbSession(async (s) => getDetachedCopy(await loadInvoice(s)));
 */
export function getDetachedCopy<T>(entity: T): DeepReadonly<T> {
  return copy(entity, new Map()) as DeepReadonly<T>;
}

/**
 * The entity's own values as a plain, mutable object, one level deep, without functions.
 *
 * @param options.include only these properties; @param options.exclude not these (wins over `include`)
 * @example getEntityDict(user, { exclude: ['password_hash'] })
 */
export function getEntityDict<T extends object>(
  entity: T,
  options: { readonly include?: readonly (keyof T & string)[]; readonly exclude?: readonly (keyof T & string)[] } = {},
): Partial<T> {
  const included = (name: string): boolean =>
    (options.include === undefined || (options.include as readonly string[]).includes(name)) &&
    !(options.exclude as readonly string[] | undefined)?.includes(name);
  return Object.fromEntries(
    Object.entries(entity).filter(([name, value]) => included(name) && typeof value !== 'function'),
  ) as Partial<T>;
}

function copy(value: unknown, seen: Map<object, object>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  if (value instanceof Date) return new Date(value);
  if (Buffer.isBuffer(value)) return Buffer.from(value);
  if (ArrayBuffer.isView(value) || value instanceof Map || value instanceof Set || value instanceof RegExp)
    return structuredClone(value);
  if (Array.isArray(value)) {
    const items: unknown[] = [];
    seen.set(value, items);
    for (const item of value) items.push(copy(item, seen));
    return Object.freeze(items);
  }
  const plain: Record<string, unknown> = {};
  seen.set(value, plain);
  for (const [name, item] of Object.entries(value)) {
    // defined, not assigned: a property named __proto__ stays a property
    if (typeof item !== 'function') Object.defineProperty(plain, name, { value: copy(item, seen), enumerable: true });
  }
  return Object.freeze(plain);
}

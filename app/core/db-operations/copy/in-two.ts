/**
 * Those of which something is so, and the others.
 *
 * @example inTwo([1, 2, 3], (n) => n > 1) // [[2, 3], [1]]
 */
export function inTwo<T>(all: readonly T[], isFirst: (one: T) => boolean): readonly [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}

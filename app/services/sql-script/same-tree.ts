/** Where something stands in its text, which is no part of what it means. */
const PLACE = /^(stmt_|name_)?location$|^stmt_len$|^(rexpr_)?list_(start|end)$/;

/** Whether two trees mean the same, wherever they stand. */
export function isSameTree(one: unknown, other: unknown): boolean {
  return JSON.stringify(one, withoutPlaces) === JSON.stringify(other, withoutPlaces);
}

function withoutPlaces(key: string, value: unknown): unknown {
  return PLACE.test(key) ? undefined : value;
}

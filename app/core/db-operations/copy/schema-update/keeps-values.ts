const INTEGERS = ['smallint', 'integer', 'bigint', 'numeric'];
const TEXTS = /^(?:character varying(?:\((\d+)\))?|text)$/;

/** Whether every value of `from` is one of `to`, as PostgreSQL writes types: then nobody has to look at them. */
export function keepsValues(from: string, to: string): boolean {
  const [one, other] = [INTEGERS.indexOf(from), INTEGERS.indexOf(to)];
  if (one !== -1 && one <= other) return true;
  const [ours, theirs] = [TEXTS.exec(from), TEXTS.exec(to)];
  if (ours === null || theirs === null) return false;
  return theirs[1] === undefined || Number(ours[1] ?? Infinity) <= Number(theirs[1]);
}

import { distance } from 'fastest-levenshtein';

/**
 * The one of `names` that was probably meant by `typed`, or `null` when none is near: a third of its letters may be
 * wrong, or it is the beginning or a part of one. Two letters that have changed places are half an error: they are nobody's word.
 *
 * @example nearest('inspct-db', ['inspect-db', 'check-database']) // 'inspect-db'
 */
export function nearest(typed: string, names: readonly string[]): string | null {
  const word = typed.toLowerCase();
  const [best] = names
    .map((name) => ({ name, edits: editsBetween(word, name.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  if (best !== undefined && best.edits <= Math.max(1, Math.floor(word.length / 3))) return best.name;
  return names.find((name) => word.length >= 3 && name.toLowerCase().includes(word)) ?? null;
}

/** Whether `typed` is `name` but for one letter, for two that have changed places, or for capitals. */
export function isMisspelt(typed: string, name: string): boolean {
  return typed !== name && editsBetween(typed.toLowerCase(), name.toLowerCase()) <= 1;
}

function editsBetween(word: string, name: string): number {
  const swapped = Array.from(
    { length: Math.max(0, word.length - 1) },
    (_, at) => word.slice(0, at) + word.charAt(at + 1) + word.charAt(at) + word.slice(at + 2),
  );
  return swapped.includes(name) ? 0.5 : distance(word, name);
}

/**
 * A text that others have chosen, such as the name of a database, with everything spelled out that a terminal would obey,
 * hide or reorder instead of showing it.
 *
 * @example printable('clinic\u001b[2J') // 'clinic\\u{1b}[2J'
 */
export function printable(text: string): string {
  return text.replaceAll(
    /[\p{C}\p{Zl}\p{Zp}]|[^\S ]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`,
  );
}

/** The colours and weights that {@link Paint} uses, and what ends them. */
const PAINTED = new RegExp(`${String.fromCharCode(0x1b)}\\[(?:[0-47]|2[2-9]|3[0-9]|9[0-7])m`, 'gu');

/**
 * A text of ours that others' texts stand in: lines, tabs and our own colours stay, everything else is as by
 * {@link printable}.
 */
export function printableLines(text: string): string {
  const colours = text.match(PAINTED) ?? [];
  return text
    .split(PAINTED)
    .map((part, index) => part.replaceAll(/[^\n\t]+/g, printable) + (colours[index] ?? ''))
    .join('');
}

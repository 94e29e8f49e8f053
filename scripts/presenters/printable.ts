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

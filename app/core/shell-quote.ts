/**
 * A text for a shell: as it stands where it is one plain word, in double quotes where nothing in it means something
 * there, else in single ones.
 *
 * @example shellQuote('EXECUTE IT ON clinic') // '"EXECUTE IT ON clinic"'
 */
export function shellQuote(text: string): string {
  if (/^[\w.-]+$/.test(text)) return text;
  return /^[^"$`\\!]*$/.test(text) ? `"${text}"` : `'${text.replaceAll("'", "'\\''")}'`;
}

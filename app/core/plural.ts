/**
 * More than one of what an English noun names.
 *
 * @example plural('text search dictionary') // 'text search dictionaries'
 */
export function plural(noun: string): string {
  if (/[^aeiou]y$/.test(noun)) return `${noun.slice(0, -1)}ies`;
  return /(s|x|ch)$/.test(noun) ? `${noun}es` : `${noun}s`;
}

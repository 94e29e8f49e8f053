/**
 * Names for a sentence.
 *
 * @example listed(['a', 'b', 'c', 'd'], 2) // 'a, b and 2 more'
 */
export function listed(names: readonly string[], most = 5): string {
  const rest = names.length - most;
  return rest > 0 ? `${names.slice(0, most).join(', ')} and ${rest} more` : names.join(', ');
}

/**
 * The first lines, and a last one for those that are left out.
 *
 * @example shortened(['a', 'b', 'c', 'd'], 2) // ['a', 'b', 'and 2 more']
 */
export function shortened(
  lines: readonly string[],
  most: number,
  last: (rest: number) => string = (rest) => `and ${rest} more`,
): string[] {
  const rest = lines.length - most;
  return rest > 0 ? [...lines.slice(0, most), last(rest)] : [...lines];
}

/**
 * Lines below a sentence, each behind a dash.
 *
 * @example dashed(['a', 'b', 'c', 'd'], 2) // '- a\n- b\n- and 2 more'
 */
export function dashed(lines: readonly string[], most: number): string {
  return shortened(lines, most)
    .map((line) => `- ${line}`)
    .join('\n');
}

/** A table in Markdown; a bar in a cell is escaped. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(cell).join(' | ')} |`).join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ');
}

/** Plain text with what looks like code in code: `--fix`, `UPPER_CASE`, `s3://bucket/prefix`, `age1…`. */
export function withCode(text: string): string {
  return text.replaceAll(
    /(?<![\w`/"-])(--[a-z][a-z-]*|[A-Z][A-Z0-9]*(?:_[A-Z0-9…]+)+|s3:\/\/[\w/]+|age1…|[a-z_]+\.yaml)(?![\w`])/g,
    '`$1`',
  );
}

export function code(text: string): string {
  return `\`${text}\``;
}

/** The anchor that GitHub gives to a heading. */
export function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');
}

/** What a generated page says of itself, below its title. */
export function madeFrom(source: string): string {
  return `<!-- made by npm run docs, from ${source} -->`;
}

/** Longer comments are cut off: they stand in the boxes of a picture. */
const LONGEST_COMMENT = 100;

/**
 * A word where Mermaid takes no quotes, as of a column or a type: what the oldest versions do not take is replaced by `_`, and one
 * that would be read as a mark of a key has one before it.
 */
export function mermaidWord(name: string): string {
  const word = name.replaceAll(/[^A-Za-z0-9_()[\]-]/gu, '_');
  return /^[^A-Za-z_]|^[pfu]k(?![A-Za-z0-9_])/i.test(word) ? `_${word}` : word;
}

/** `schema.name` for between quotes; where that could be two names, each is quoted as in SQL. Two names never give one text. */
export function mermaidName(schema: string, name: string): string {
  const parts = [schema, name].map((part) => (/[".]/.test(part) ? `"${part.replaceAll('"', '""')}"` : part));
  return mermaidText(parts.join('.'));
}

/** One line out of `text`, for between quotes and behind `%%`. */
export function mermaidComment(text: string): string {
  const line = [...text.replaceAll(/\s+/gu, ' ').trim()];
  return mermaidText(line.length > LONGEST_COMMENT ? `${line.slice(0, LONGEST_COMMENT - 1).join('')}…` : line.join(''));
}

/**
 * `text` for between quotes: nothing in it ends them, is a directive, a tag or formatting, or would be obeyed by a terminal. What
 * Mermaid has codes for is shown as it is, the rest spelled out.
 */
export function mermaidText(text: string): string {
  const escaped = text.replaceAll(/[\p{C}\p{Zl}\p{Zp}]|[^\S ]|["#%\\<>&`~*]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (character === '\\') return '#92;#92;';
    return code > 32 && code < 127 ? `#${code};` : `#92;u{${code.toString(16)}}`;
  });
  // Mermaid takes any line with these two words for a setting
  return escaped.replaceAll(/(direction) (?= *(?:tb|bt|lr|rl))/gi, '$1#32;');
}

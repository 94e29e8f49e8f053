import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

/** A page of the manual, taken apart. */
export interface Page {
  /** From the root of the project. */
  readonly file: string;
  readonly blocks: readonly CodeBlock[];
  /** What stands in backticks within the text. */
  readonly inline: readonly string[];
  readonly links: readonly string[];
  /** As GitHub makes them of the headings. */
  readonly anchors: ReadonlySet<string>;
}

export interface CodeBlock {
  /** `sh`, `ts` …; empty where none is said. */
  readonly language: string;
  readonly text: string;
}

/** Every page that people read, the generated ones too. */
export function manual(): readonly Page[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  return ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs.sort()].map(readPage);
}

export function readPage(file: string): Page {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const blocks: CodeBlock[] = [];
  const prose = text.replaceAll(/^( *)```(\w*)[^\n]*\n([\s\S]*?)^\1```$/gm, (_, __, language: string, code: string) => {
    blocks.push({ language, text: code });
    return '';
  });
  const inline: string[] = [];
  const plain = prose.replaceAll(/(?<!`)(`+)(?!`)([\s\S]*?[^`])\1(?!`)/g, (_, __, code: string) => {
    inline.push(code.replaceAll(/\s+/g, ' ').trim());
    return '';
  });
  return {
    file,
    blocks,
    inline,
    links: [...plain.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target]) => target ?? ''),
    anchors: anchorsOf(prose),
  };
}

/** A second heading of the same words has `-1` at its end. */
function anchorsOf(prose: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of prose.matchAll(/^#{1,6} +(.+)$/gm)) {
    const anchor = heading
      .toLowerCase()
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-');
    let free = anchor;
    for (let count = 1; anchors.has(free); count += 1) free = `${anchor}-${count}`;
    anchors.add(free);
  }
  return anchors;
}

/** The lines of a block that people type; others are what they see. Lines that go on below are joined. */
export function typedLines({ language, text }: CodeBlock): readonly string[] {
  const lines = text.replaceAll(/\\\n\s*/g, ' ').split('\n');
  if (['sh', 'bash', 'shell'].includes(language)) return lines.filter((line) => !line.trimStart().startsWith('#'));
  if (language !== 'console') return [];
  return lines.flatMap((line) => (/^\s*[$#] /.test(line) ? [line.replace(/^\s*[$#] /, '')] : []));
}

/** What stands behind every `manage_db ` of a line, as a shell would split it. */
export function callsIn(line: string): readonly (readonly string[])[] {
  return [...line.matchAll(/(?<![\w/.@"'-])manage_db (?=[a-z-])/g)].map(({ index }) =>
    shellWords(line.slice(index + 'manage_db '.length)),
  );
}

/** The words up to the end of the command: a pipe, `;`, `&`, a bracket, a redirection or a comment. */
function shellWords(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | null = null;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] ?? '';
    if (char === '"' || char === "'") {
      const end = text.indexOf(char, at + 1);
      if (end === -1) break;
      word = (word ?? '') + text.slice(at + 1, end);
      at = end;
    } else if (char === '\\') {
      at += 1;
      word = (word ?? '') + (text[at] ?? '');
    } else if (/\s/.test(char)) {
      if (word !== null) words.push(word);
      word = null;
    } else if (/[|;&()<>]/.test(char) || (char === '#' && word === null)) break;
    else word = (word ?? '') + char;
  }
  return word === null ? words : [...words, word];
}

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const RESULTS = join(import.meta.dirname, '..', '..', 'benchmarks', 'RESULTS.md');

/** Puts what a benchmark has found into its section of benchmarks/RESULTS.md, in place of what was found before. */
export function writeSection(title: string, lines: readonly string[]): void {
  const sections = read().split(/^(?=## )/m);
  const section = `## ${title}\n\n${lines.join('\n')}\n`;
  const place = sections.findIndex((one) => one.startsWith(`## ${title}\n`));
  const isLast = place === -1 || place === sections.length - 1;
  const text = isLast ? section : `${section}\n`;
  if (place === -1) sections.push(`\n${text}`);
  else sections[place] = text;
  mkdirSync(dirname(RESULTS), { recursive: true });
  writeFileSync(RESULTS, sections.join(''));
}

function read(): string {
  try {
    return readFileSync(RESULTS, 'utf8');
  } catch {
    return '# What benchmarks have found\n';
  }
}

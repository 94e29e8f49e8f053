import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
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

/** On which day and where: the beginning of a section. */
export function machine(): string {
  return `${new Date().toISOString().slice(0, 10)}, PostgreSQL 15 on ${availableParallelism()} processors, Node ${process.version}`;
}

/** Of an even number of values the greater one in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function read(): string {
  try {
    return readFileSync(RESULTS, 'utf8');
  } catch {
    return '# What benchmarks have found\n';
  }
}

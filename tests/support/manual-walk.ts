import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';

/** A block of commands of a page of the manual, with what the page shows as their output. */
export interface ManualBlock {
  readonly commands: string;
  /** As a comment says it (`# exit code 4`), else 0. */
  readonly exitCode: number;
  /** `null`: the page shows none. */
  readonly output: string | null;
}

/** The blocks of a page below `docs/`, in their order. */
export function blocksOf(page: string): readonly ManualBlock[] {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'docs', page), 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms)].map(
    ([, commands = '', output = null]) => ({
      commands,
      exitCode: Number(/# exit code (\d+)/.exec(commands)?.[1] ?? 0),
      output,
    }),
  );
}

/**
 * The lines of an output without what is another one in every run: times, sizes, numbers, names with a time in them, the login of
 * the machine, the widths of columns, and which steps were shown.
 */
export function withoutChance(output: string): readonly string[] {
  return output
    .replaceAll(userInfo().username, 'anna')
    .split('\n')
    .filter((line) => !/^ {2}[a-z]/.test(line) && !/^[-+─┌├└ |]+$/.test(line))
    .map((line) =>
      line
        .replaceAll(/[\d.,]+ (ms|s|min|B|kB|MB|GB)\b/g, '#')
        .replaceAll(/\d{8}T\d{6}Z-[0-9a-f]{6}/g, '#')
        .replaceAll(/\/\S+(?=\/(backups|migrations)\/)/g, '/#')
        .replaceAll(/\d[\d.,:TZ+-]*/g, '#')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '');
}

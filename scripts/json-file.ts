/**
 * For commands that write a report: `--json FILE` becomes `--json-file FILE`; `--json` alone, or before another flag, stays
 * the switch that every command has.
 *
 * @param word the command on the line: it is no file
 * @example separateJsonFile(['test-db-features', '--json', 'report.json'], 'test-db-features') // [… '--json-file', 'report.json']
 */
export function separateJsonFile(args: readonly string[], word: string): string[] {
  const end = args.indexOf('--');
  return args.map((arg, index) => {
    if (end >= 0 && index > end) return arg;
    const next = args[index + 1];
    if (arg === '--json' && next !== undefined && !next.startsWith('-') && next !== word) return '--json-file';
    const [, file] = /^--json=(.+)$/.exec(arg) ?? [];
    return file === undefined || file === 'true' || file === 'false' ? arg : `--json-file=${file}`;
  });
}

/**
 * Gathers the values of flags that may be given several times: for yargs, whose last one of a kind counts, `--table a
 * --table b` becomes `--table a b`.
 *
 * @example gatherRepeated(['--table', 'a', '--json', '--table=b'], ['table']) // ['--json', '--table', 'a', 'b']
 */
export function gatherRepeated(args: readonly string[], names: readonly string[]): string[] {
  const values = new Map<string, string[]>();
  const rest: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? '';
    if (arg === '--') {
      rest.push(...args.slice(at));
      break;
    }
    const name = names.find((one) => arg === `--${one}` || arg.startsWith(`--${one}=`));
    if (name === undefined) rest.push(arg);
    else {
      const value = arg === `--${name}` ? args[++at] : arg.slice(name.length + 3);
      values.set(name, [...(values.get(name) ?? []), ...(value === undefined ? [] : [value])]);
    }
  }
  const gathered = [...values].flatMap(([name, all]) => [`--${name}`, ...all]);
  const end = rest.indexOf('--');
  return end === -1 ? [...rest, ...gathered] : [...rest.slice(0, end), ...gathered, ...rest.slice(end)];
}

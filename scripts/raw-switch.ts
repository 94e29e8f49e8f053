/**
 * What a line says of a yes-or-no flag, before anything is parsed: how an error is shown must be known also when the
 * line is wrong. The last one wins, as for the parser; `undefined` where it is not there.
 *
 * @example readSwitch(['--json', '--no-color'], 'color') // false
 */
export function readSwitch(args: readonly string[], name: string): boolean | undefined {
  const end = args.indexOf('--');
  const words = end < 0 ? args : args.slice(0, end);
  const spellings: Readonly<Record<string, boolean>> = {
    [`--${name}`]: true,
    [`--${name}=true`]: true,
    [`--${name}=false`]: false,
    [`--no-${name}`]: false,
  };
  const last = words.findLast((word) => Object.hasOwn(spellings, word));
  return last === undefined ? undefined : spellings[last];
}

import type { Argv, Options, PositionalOptions } from 'yargs';
import type { CommandModule } from '../../command.js';

export interface DeclaredFlag {
  readonly name: string;
  readonly options: Options;
}

export interface DeclaredPositional {
  readonly name: string;
  readonly options: PositionalOptions;
}

export interface DeclaredFlags {
  readonly flags: readonly DeclaredFlag[];
  readonly positionals: readonly DeclaredPositional[];
}

/**
 * What a builder declares, in its order, without running anything: it is given a parser that only takes notes.
 *
 * @throws Error when a builder calls something that is not noted
 */
export function declaredBy(builder: CommandModule['builder']): DeclaredFlags {
  const flags: DeclaredFlag[] = [];
  const positionals: DeclaredPositional[] = [];
  const notes: Readonly<Record<string, (name: string, options: Options) => unknown>> = {
    option: (name, options) => flags.push({ name, options }),
    positional: (name, options) => positionals.push({ name, options: options as PositionalOptions }),
  };
  const parser: Argv = new Proxy({} as Argv, {
    get: (_, method) => {
      const note = notes[String(method)];
      if (note === undefined)
        throw new Error(`The reference does not know what .${String(method)}() of yargs declares.`);
      return (name: string, options: Options) => {
        note(name, options);
        return parser;
      };
    },
  });
  builder(parser);
  return { flags, positionals };
}

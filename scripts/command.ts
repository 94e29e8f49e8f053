import type { Argv } from 'yargs';
import type { AskPassphrase } from '../app/core/db-operations/backup/encryption/keys.js';
import type { ExitCode, ManageDbError } from '../app/core/errors.js';
import type { OperationOptions } from '../app/core/safety/gate.js';
import type { Paint } from './presenters/paint.js';

/** What a command gives back; the frame prints it, as text or as JSON. */
export interface CommandOutcome {
  readonly data: unknown;
  /** For people, on standard output. Called only when it is printed. */
  readonly text: (paint: Paint) => string;
  /** The text is data for a file or another program: not a character of it is changed. */
  readonly isVerbatim?: boolean;
  readonly warnings?: readonly string[];
  readonly exitCode?: ExitCode;
  /** A failure that still has data to show. */
  readonly error?: ManageDbError;
}

/** What the frame gives to a command. */
export interface CommandContext {
  /** `--env`, exactly as far as it was given. */
  readonly env: string | undefined;
  readonly workspace: string;
  readonly isJson: boolean;
  readonly isVerbose: boolean;
  /** For every call of an operation. Tells the frame its target, so that it is shown before anything happens. */
  readonly operation: OperationOptions;
  readonly signal: AbortSignal;
  /** Asks for a passphrase; `undefined` where nobody could answer. */
  readonly askPassphrase: AskPassphrase | undefined;
  /** One line on standard error, unless `--quiet`. */
  readonly say: (line: string) => void;
}

/** One command: its flags, and parse → call → present. No SQL and no rule of the business stands here. */
export interface CommandModule<Args extends object = object> {
  readonly examples: readonly (readonly [command: string, what: string])[];
  /** Whether its target is announced on standard error before it begins. */
  readonly isMutating: boolean | ((args: Args) => boolean);
  /** Where it ends with others than 0 and those of errors: when it does. Shown by its help. */
  readonly exitCodes?: Readonly<Partial<Record<ExitCode, string>>>;
  /** Flags that may be given several times, as `array` flags. */
  readonly repeatable?: readonly string[];
  /** Declares the flags on the parser that it is given. */
  readonly builder: (yargs: Argv) => unknown;
  readonly run: (args: Args, context: CommandContext) => Promise<CommandOutcome>;
}

/** Types a command's arguments by its own builder. */
export function defineCommand<Args extends object>(command: CommandModule<Args>): CommandModule {
  return command as unknown as CommandModule;
}

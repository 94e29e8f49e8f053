import { setTimeout as delay } from 'node:timers/promises';
import { isatty } from 'node:tty';
import type { AskPassphrase } from '../app/core/db-operations/backup/encryption/keys.js';
import { ManageDbError } from '../app/core/errors.js';
import type { AskConsent, Consent, ConsentQuestion } from '../app/core/safety/consent.js';
import type { Presentation } from './presentation.js';
import type { Paint } from './presenters/paint.js';
import { printable } from './presenters/printable.js';

/** Where a question is put: the colours it may use, and what can end it. */
interface Desk {
  readonly paint: Paint;
  readonly signal: AbortSignal | undefined;
}

/** A mistyped text may be mended; who fails three times does not mean it. */
const TRIES = 3;

/** Long enough to read what waits in the terminal, too short for anybody to have read the question. */
const DISCARD_MS = 50;

/**
 * Asks on standard error, so that standard output stays clean for a pipe; `undefined` where nobody could answer: standard
 * input or standard error is no terminal, a program reads the answer (`--json`), or `CI` says that nobody watches.
 *
 * What it gives throws ManageDbError `INTERRUPTED` on Ctrl-C, Ctrl-D and the signal.
 */
export function askerFor(presentation: Presentation): AskConsent | undefined {
  if (presentation.isJson || !isSomebodyThere()) return undefined;
  return (question, signal) => presentation.duringQuestion((paint) => askConsent(question, { paint, signal }));
}

/** As {@link askerFor}, for passphrases: nothing of them is shown, and a new one is typed twice. */
export function passphraseAskerFor(presentation: Presentation, signal: AbortSignal): AskPassphrase | undefined {
  if (presentation.isJson || !isSomebodyThere()) return undefined;
  return (which) => presentation.duringQuestion((paint) => askPassphrase(which, { paint, signal }));
}

async function askPassphrase(which: 'new' | 'known', desk: Desk): Promise<string> {
  const { default: password } = await import('@inquirer/password');
  const ask = (message: string, validate: (typed: string) => string | true): Promise<string> =>
    untilInterrupted(desk, (context) => password({ message, validate, theme: themeOf(desk) }, context));
  const isThere = (typed: string): string | true => typed !== '' || 'It is empty.';
  if (which === 'known') return ask('The passphrase of the backup:', isThere);
  const passphrase = await ask('A passphrase for the backup (without it nobody can restore it):', isThere);
  await ask('Once more:', (typed) => typed === passphrase || 'That is another one.');
  return passphrase;
}

function isSomebodyThere(): boolean {
  const { CI, TERM } = process.env;
  const isUnattended = CI !== undefined && !['', '0', 'false'].includes(CI);
  // a dumb terminal cannot draw a line anew
  return isatty(0) && isatty(2) && TERM !== 'dumb' && !isUnattended;
}

async function askConsent(question: ConsentQuestion, desk: Desk): Promise<Consent | null> {
  const agreed = question.kind === 'typed' ? await askText(question, desk) : await askYes(question, desk);
  if (agreed === null || !question.asksReason) return agreed;
  return { ...agreed, reason: await askReason(desk) };
}

async function askYes({ summary }: ConsentQuestion, desk: Desk): Promise<Consent | null> {
  const { default: confirm } = await import('@inquirer/confirm');
  const message = `${headline(summary, desk)}\n  Go on?`;
  const yes = await untilInterrupted(desk, (context) =>
    confirm({ message, default: false, theme: themeOf(desk) }, context),
  );
  return yes ? { yes } : null;
}

async function askText({ summary, text }: ConsentQuestion, desk: Desk): Promise<Consent | null> {
  const { default: input } = await import('@inquirer/input');
  // no key types an escape character: what is shown for it counts as well
  const shown = printable(text);
  let tries = 0;
  const validate = (typed: string): string | true => {
    tries += 1;
    const left = TRIES - tries;
    return typed === shown || left === 0 || `That is not the text: ${left === 1 ? 'one try' : `${left} tries`} left.`;
  };
  const message = `${headline(summary, desk)}\n  To go on, type ${desk.paint.bold(shown)}\n ›`;
  const typed = await untilInterrupted(desk, (context) => input({ message, validate, theme: themeOf(desk) }, context));
  return typed === shown ? { confirm: text } : null;
}

async function askReason(desk: Desk): Promise<string> {
  const { default: input } = await import('@inquirer/input');
  const validate = (typed: string): string | true => typed.trim() !== '' || 'Say why: it is kept with the record.';
  const typed = await untilInterrupted(desk, (context) =>
    input({ message: 'Why? For the record:', validate, theme: themeOf(desk) }, context),
  );
  return typed.trim();
}

function headline(summary: string, { paint }: Desk): string {
  return paint.bold(printable(summary));
}

/** The libraries' own colours ask standard output whether it is a terminal, and know no `--no-color`. */
function themeOf({ paint }: Desk) {
  return {
    prefix: paint.yellow('?'),
    style: {
      message: (text: string) => text,
      answer: paint.cyan,
      error: (text: string) => paint.red(`  ${text}`),
      defaultAnswer: (text: string) => paint.dim(`(${text})`),
    },
  };
}

/** Everything that a question is given to talk to the terminal and to be ended early. */
interface Context {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
  readonly signal: AbortSignal;
}

async function untilInterrupted<T>({ signal }: Desk, ask: (context: Context) => Promise<T>): Promise<T> {
  const { stdin: input, stderr: output } = process;
  if (await discardTypedAhead(input)) throw interrupted();
  const closed = new AbortController();
  // readline closes at Ctrl-D and tells nobody: the question would stay open for ever. It pauses its input then, and also
  // when the process goes on after Ctrl-Z, but raw mode is on again in that case.
  const onPause = (): unknown => setImmediate(() => (input.isRaw ? input.resume() : closed.abort()));
  input.on('pause', onPause);
  try {
    return await ask({
      input,
      output,
      signal: AbortSignal.any(signal === undefined ? [closed.signal] : [closed.signal, signal]),
    });
  } catch (error) {
    const isEnded = error instanceof Error && ['ExitPromptError', 'AbortPromptError'].includes(error.name);
    throw isEnded ? interrupted(error) : error;
  } finally {
    input.off('pause', onPause);
  }
}

/**
 * What was typed before the question is no answer to it. The libraries try to skip it and lose the race. `true` when
 * Ctrl-C is among it: in raw mode it is a key and no signal.
 */
async function discardTypedAhead(input: NodeJS.ReadStream): Promise<boolean> {
  let isInterrupted = false;
  const onData = (typed: Buffer | string): void => {
    isInterrupted ||= typed.includes('\u0003');
  };
  // a line that has not been ended yet is only there to be read in raw mode
  input.setRawMode(true).on('data', onData);
  try {
    await delay(DISCARD_MS);
  } finally {
    input.off('data', onData).pause().setRawMode(false);
  }
  return isInterrupted;
}

function interrupted(cause?: unknown): ManageDbError {
  return new ManageDbError('INTERRUPTED', 'Interrupted at the question; nothing was changed.', { cause });
}

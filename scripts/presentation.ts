import { EXIT, type ExitCode, type ManageDbError } from '../app/core/errors.js';
import type { ProgressEvent } from '../app/core/progress.js';
import type { Target } from '../app/core/safety/gate.js';
import type { CommandOutcome } from './command.js';
import { renderEnvelope } from './presenters/envelope.js';
import { renderError } from './presenters/error.js';
import { type Paint, paintFor } from './presenters/paint.js';
import { printableLines } from './presenters/printable.js';
import { progressText } from './presenters/progress.js';
import { targetLine } from './presenters/target-line.js';

/** The flags that every command has, as yargs gives them. */
export interface GlobalFlags {
  readonly env?: string;
  readonly workspace?: string;
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly confirm?: string;
  readonly reason?: string;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
  readonly color: boolean;
}

export interface PresentationOptions {
  readonly command: string | null;
  readonly isJson: boolean;
  readonly isVerbose: boolean;
  readonly isQuiet: boolean;
  readonly hasColor: boolean;
}

/** The one place that writes: results on standard output, prose on standard error, everything once. */
export class Presentation {
  readonly isJson: boolean;
  readonly isVerbose: boolean;
  environment: string | null = null;
  private readonly command: string | null;
  private readonly isQuiet: boolean;
  private readonly out: Paint;
  private readonly err: Paint;
  private target: Target | null = null;
  private lastStep = '';
  private isPassing = false;
  private isQuestionOpen = false;

  constructor(options: PresentationOptions) {
    this.command = options.command;
    this.isJson = options.isJson;
    this.isVerbose = options.isVerbose;
    this.isQuiet = options.isQuiet;
    this.out = paintFor(process.stdout, options.hasColor);
    this.err = paintFor(process.stderr, options.hasColor);
  }

  /** Remembers the target for the JSON object; announces it when the command may change it. */
  announce(target: Target, isMutating: boolean): void {
    this.target = target;
    this.environment = target.environment;
    if (isMutating) this.say(targetLine(target, this.err));
  }

  say(line: string): void {
    // a question has the screen, and says by itself how it ended
    if (this.isQuiet || this.isQuestionOpen) return;
    this.clearPassing();
    process.stderr.write(`${line}\n`);
  }

  /** A step of long work, once. One of many (a table of a dump) is only shown in passing, where that can be. */
  step(event: ProgressEvent): void {
    const { step, done, bytes, isDetail } = event;
    const isPassing = isDetail === true && !this.isVerbose;
    const said = `${step} ${done ?? ''} ${isPassing ? (bytes?.done ?? '') : ''}`;
    if (said === this.lastStep || this.isQuiet) return;
    this.lastStep = said;
    if (isPassing && !process.stderr.isTTY) return;
    this.clearPassing();
    process.stderr.write(this.err.dim(`  ${progressText(event)}`.slice(0, (process.stderr.columns || 200) - 1)));
    if (isPassing) this.isPassing = true;
    else process.stderr.write('\n');
  }

  private clearPassing(): void {
    if (this.isPassing) process.stderr.write('\r\u001b[2K');
    this.isPassing = false;
  }

  /** Leaves standard error to a question until it is answered. `ask` is given the colours for it. */
  async duringQuestion<T>(ask: (paint: Paint) => Promise<T>): Promise<T> {
    this.clearPassing();
    this.isQuestionOpen = true;
    try {
      return await ask(this.err);
    } finally {
      this.isQuestionOpen = false;
    }
  }

  debug(line: string): void {
    process.stderr.write(`${this.err.dim(line)}\n`);
  }

  finish(outcome: CommandOutcome): ExitCode {
    this.clearPassing();
    const warnings = outcome.warnings ?? [];
    const error = outcome.error ?? null;
    if (this.isJson) this.printEnvelope(outcome.data, warnings, error);
    else {
      const text = outcome.text(this.out);
      if (text !== '') process.stdout.write(`${outcome.isVerbatim === true ? text : printableLines(text)}\n`);
      for (const warning of warnings) process.stderr.write(`${this.err.yellow('! ')}${printableLines(warning)}\n`);
      if (error !== null) process.stderr.write(`${renderError(error, this.err, this.isVerbose)}\n`);
    }
    return error?.exitCode ?? outcome.exitCode ?? EXIT.done;
  }

  fail(error: ManageDbError): ExitCode {
    this.clearPassing();
    if (this.isJson) this.printEnvelope(null, [], error);
    if (!this.isJson || this.isVerbose) process.stderr.write(`${renderError(error, this.err, this.isVerbose)}\n`);
    return error.exitCode;
  }

  private printEnvelope(data: unknown, warnings: readonly string[], error: ManageDbError | null): void {
    const { target } = this;
    const database = target === null ? null : { host: target.host, port: target.port, name: target.database };
    const envelope = renderEnvelope({
      command: this.command,
      environment: this.environment,
      database,
      data,
      warnings,
      error,
    });
    process.stdout.write(`${envelope}\n`);
  }
}

/** An object of a dump that could not be made. */
export interface FailedObject {
  /** Kind, name and owner, as pg_restore calls them: `TABLE notes postgres`. */
  readonly object: string;
  /** What the server said about the first statement that failed. */
  readonly error: string;
  /** The same with everything that it said beside it. */
  readonly said: string;
}

/** What pg_restore writes before each object. */
const OBJECT = /^-- (?:Data for )?Name: (?<name>.*); Type: (?<kind>.*?); Schema: .*?; Owner: (?<owner>.*)$/;

/** psql's own errors are in lower case. */
const MESSAGE = /^psql:<stdin>:(?<line>\d+): (?<level>\w+): +(?<text>.*)$/;
const LEVELS = ['ERROR', 'error'];

const NEWLINE = 0x0a;

/**
 * Finds out which objects of a dump's text psql could not make, where it goes on after errors: it says nothing but the
 * number of the line.
 *
 * @example psql's stdin is Readable.from(failed.follow(text)), and each line of its stderr goes to failed.hear(line)
 */
export class FailedObjects {
  private readonly begun: { readonly line: number; readonly object: string }[] = [];
  private readonly failures = new Map<string, FailedObject>();
  /** Which failure the lines belong to that begin with nothing. */
  private last: FailedObject | null = null;
  private lines = 0;

  /** Gives on what psql reads: chunks that end with a line, or a part of one. */
  async *follow(text: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of text) {
      const { kind, name, owner } = OBJECT.exec(chunk.toString().trimEnd())?.groups ?? {};
      const object = [kind, name, owner].join(' ');
      if (kind !== undefined) this.begun.push({ line: this.lines + 1, object });
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) this.lines += 1;
      yield chunk;
    }
  }

  hear(line: string): void {
    const { line: number, level = '', text = '' } = MESSAGE.exec(line)?.groups ?? {};
    if (number === undefined) {
      if (this.last !== null) this.keep({ ...this.last, said: `${this.last.said}\n${line}` });
      return;
    }
    this.last = null;
    const object = this.begun.findLast((one) => one.line <= Number(number))?.object ?? '';
    if (LEVELS.includes(level) && !this.failures.has(object)) this.keep({ object, error: text, said: line });
  }

  list(): FailedObject[] {
    return [...this.failures.values()];
  }

  private keep(failure: FailedObject): void {
    this.failures.set(failure.object, failure);
    this.last = failure;
  }
}

import { randomInt } from 'node:crypto';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const ORDINARY = `${LETTERS}${LETTERS.toUpperCase()}0123456789`;
/** What a negated set may be filled from: the ordinary ones first. */
const PRINTABLE = `${ORDINARY} _-.,:;!?+*/=@#%&()<>[]{}~^|$'"\`\\`;
const CLASSES: Readonly<Record<string, string>> = {
  alpha: `${LETTERS}${LETTERS.toUpperCase()}`,
  lower: LETTERS,
  upper: LETTERS.toUpperCase(),
  digit: '0123456789',
  xdigit: '0123456789abcdef',
  alnum: ORDINARY,
  space: ' ',
  punct: '.,:;!?',
};
const ESCAPES: Readonly<Record<string, string>> = {
  d: '0123456789',
  w: `${ORDINARY}_`,
  s: ' ',
  D: LETTERS,
  W: '.,:; ',
  S: ORDINARY,
  n: '\n',
  t: '\t',
  r: '\r',
};
/** How much longer than it must be a repetition becomes, where it may. */
const SLACK = 3;
const LONGEST = 200;

/**
 * A random text that a regular expression of PostgreSQL should accept; `null` for one with parts that only a matcher
 * understands. Whether it really does, the server says.
 *
 * @example textMatching('^[A-Z]{3}[0-9]{2}$') // 'QMX07'
 */
export function textMatching(pattern: string): string | null {
  try {
    const text = new PatternReader(pattern).read();
    return text.length > LONGEST ? null : text;
  } catch (error) {
    if (error instanceof UnreadablePattern) return null;
    throw error;
  }
}

class UnreadablePattern extends Error {}

class PatternReader {
  private readonly characters: readonly string[];
  private at = 0;

  constructor(pattern: string) {
    this.characters = [...pattern];
  }

  read(): string {
    const text = this.alternatives();
    if (this.at < this.characters.length) throw new UnreadablePattern();
    return text();
  }

  /** Each part gives a new text whenever it is called, so that a repetition does not repeat itself. */
  private alternatives(): () => string {
    const branches = [this.branch()];
    while (this.skip('|')) branches.push(this.branch());
    return () => oneOf(branches)();
  }

  private branch(): () => string {
    const parts: (() => string)[] = [];
    while (this.at < this.characters.length && !['|', ')'].includes(this.peek())) parts.push(this.repeated());
    return () => parts.map((part) => part()).join('');
  }

  private repeated(): () => string {
    const atom = this.atom();
    const bounds = this.bounds();
    if (bounds === null) return atom;
    const [least, most] = bounds;
    if (least > LONGEST) throw new UnreadablePattern();
    return () => {
      const times = randomInt(least, Math.min(most, Math.max(least, 1) + SLACK) + 1);
      return Array.from({ length: times }, atom).join('');
    };
  }

  private bounds(): readonly [least: number, most: number] | null {
    const bounds = this.skip('*')
      ? ([0, LONGEST] as const)
      : this.skip('+')
        ? ([1, LONGEST] as const)
        : this.skip('?')
          ? ([0, 1] as const)
          : this.skip('{')
            ? this.braces()
            : null;
    // reluctant or not makes no difference for what is accepted
    if (bounds !== null) this.skip('?');
    return bounds;
  }

  private braces(): readonly [least: number, most: number] {
    const [least = '', most] = this.upTo('}').split(',');
    const bounds = [Number(least), most === undefined ? Number(least) : most === '' ? LONGEST : Number(most)] as const;
    if (least === '' || bounds.some((bound) => !Number.isInteger(bound)) || bounds[0] > bounds[1]) {
      throw new UnreadablePattern();
    }
    return bounds;
  }

  private atom(): () => string {
    const character = this.next();
    switch (character) {
      case '^':
      case '$':
        return () => '';
      case '.':
        return () => anyOf(LETTERS);
      case '(':
        return this.group();
      case '[':
        return this.set();
      case '\\':
        return this.escape();
      case '*':
      case '+':
      case '?':
      case '{':
        throw new UnreadablePattern();
      default:
        return () => character;
    }
  }

  private group(): () => string {
    if (this.skip('?') && !this.skip(':')) throw new UnreadablePattern();
    const text = this.alternatives();
    if (!this.skip(')')) throw new UnreadablePattern();
    return text;
  }

  private set(): () => string {
    const isNegated = this.skip('^');
    let members = '';
    // a bracket that comes first is a member
    if (this.skip(']')) members += ']';
    while (this.peek() !== ']') members += this.member();
    this.next();
    const choice = isNegated ? [...PRINTABLE].filter((character) => !members.includes(character)).join('') : members;
    if (choice === '') throw new UnreadablePattern();
    const usual = [...choice].filter((character) => ORDINARY.includes(character)).join('');
    return () => anyOf(isNegated && usual !== '' ? usual : choice);
  }

  private member(): string {
    const first = this.next();
    if (first === '[' && this.skip(':')) {
      const members = CLASSES[this.upTo(':')];
      if (members === undefined || !this.skip(']')) throw new UnreadablePattern();
      return members;
    }
    // collating elements and equivalence classes
    if (first === '[' && ['.', '='].includes(this.peek())) throw new UnreadablePattern();
    if (first === '\\') {
      const escaped = this.next();
      return ESCAPES[escaped] ?? escaped;
    }
    const isRange = this.peek() === '-' && this.characters[this.at + 1] !== ']';
    if (!isRange) return first;
    this.next();
    const [from, to] = [first, this.next()].map((character) => character.codePointAt(0) ?? 0) as [number, number];
    if (to < from || to - from > 1000) throw new UnreadablePattern();
    return Array.from({ length: to - from + 1 }, (_, step) => String.fromCodePoint(from + step)).join('');
  }

  private escape(): () => string {
    const character = this.next();
    if (['A', 'Z', 'm', 'M', 'y'].includes(character)) return () => '';
    const members = ESCAPES[character];
    if (members !== undefined) return () => anyOf(members);
    if (/[a-zA-Z0-9]/.test(character)) throw new UnreadablePattern();
    return () => character;
  }

  private upTo(end: string): string {
    let text = '';
    for (let character = this.next(); character !== end; character = this.next()) text += character;
    return text;
  }

  private skip(character: string): boolean {
    if (this.characters[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  private peek(): string {
    const character = this.characters[this.at];
    if (character === undefined) throw new UnreadablePattern();
    return character;
  }

  private next(): string {
    const character = this.peek();
    this.at += 1;
    return character;
  }
}

function anyOf(characters: string): string {
  return oneOf([...characters]);
}

function oneOf<T>(choice: readonly T[]): T {
  const chosen = choice[randomInt(choice.length)];
  if (chosen === undefined) throw new UnreadablePattern();
  return chosen;
}

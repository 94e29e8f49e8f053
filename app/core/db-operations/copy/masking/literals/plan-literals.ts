import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { type DefinitionText, readDefinitionTexts } from '../../../../../database/catalog/definition-texts.js';
import type { Queryable } from '../../../../../database/queryable.js';
import type { Acknowledgement, LiteralRules } from '../rules.js';
import { readShippedTexts } from './shipped-texts.js';
import { type TellingLiteral, tellingLiterals } from './telling.js';

/** A definition that says something, and that nobody has acknowledged as it is. */
export interface UnacknowledgedLiterals {
  /** `default clinic.patients.status`; without a literal in it. */
  readonly name: string;
  /** The first hex digits of a SHA-256 of what it says. */
  readonly digest: string;
  /** What it says, for people to look at: not for logs, and not for the copy. */
  readonly literals: readonly TellingLiteral[];
  /** Whether it has been acknowledged, and has changed since. */
  readonly isChanged: boolean;
  /** Where that stands. */
  readonly place: string | null;
}

export interface LiteralPlan {
  readonly unacknowledged: readonly UnacknowledgedLiterals[];
  /** What is acknowledged, and is not there. */
  readonly warnings: readonly string[];
}

/** Enough that no change goes unnoticed by accident. */
const DIGEST_DIGITS = 8;

/** What a key in YAML may be long, and more. */
const LONGEST_NAME = 500;

/**
 * Compares what definitions say with what the rules acknowledge.
 *
 * @param db in a transaction, with the search_path pinned
 */
export async function planLiterals(db: Queryable, { acknowledged, hasComments }: LiteralRules): Promise<LiteralPlan> {
  const shipped = await readShippedTexts();
  const texts = (await readDefinitionTexts(db)).filter(
    ({ name, text }) => (hasComments || !isComment(name)) && !(isOfFunction(name) && shipped.has(text)),
  );
  const definitions = await definitionsOf(texts);
  const rules = new Map(acknowledged.map((one) => [one.name, one]));
  return {
    unacknowledged: [...definitions].flatMap(([name, literals]) => {
      const rule = rules.get(name);
      const digest = digestOf(literals);
      if (rule?.digest !== null && rule?.digest !== undefined && digest.startsWith(rule.digest)) return [];
      const isChanged = typeof rule?.digest === 'string';
      return [{ name, digest: digest.slice(0, DIGEST_DIGITS), literals, isChanged, place: rule?.place ?? null }];
    }),
    warnings: acknowledged.filter(({ name }) => !definitions.has(name)).map((one) => nothingThere(one, hasComments)),
  };
}

/** By their names, those that say something, and that their parents do not say already. */
async function definitionsOf(
  texts: readonly DefinitionText[],
): Promise<ReadonlyMap<string, readonly TellingLiteral[]>> {
  const found = new Map<string, { parent: string | null; literals: readonly TellingLiteral[] }>();
  const byName = new Map<string, DefinitionText[]>();
  for (const text of texts) {
    const own = byName.get(text.name);
    if (own === undefined) byName.set(text.name, [text]);
    else own.push(text);
  }
  for (const [name, own] of byName) {
    const literals = await tellingLiterals(own);
    // the scanner never waits for anything, and others want to be heard
    await setImmediate();
    if (literals.length > 0) found.set(name, { parent: own[0]?.parent ?? null, literals });
  }
  const own = [...found].filter(([, { parent, literals }]) => {
    const inherited = new Set((parent === null ? undefined : found.get(parent))?.literals.map(spelling));
    return !literals.every((literal) => inherited.has(spelling(literal)));
  });
  return new Map(own.map(([name, { literals }]) => [shortened(name), literals]));
}

function isComment(name: string): boolean {
  return name.startsWith('comment on ');
}

function isOfFunction(name: string): boolean {
  return name.startsWith('function ') || name.startsWith('comment on function ');
}

function digestOf(literals: readonly TellingLiteral[]): string {
  return sha256(JSON.stringify(literals.map(({ kind, value }) => [kind, value])));
}

function spelling({ kind, value }: TellingLiteral): string {
  return JSON.stringify([kind, value]);
}

function shortened(name: string): string {
  return name.length <= LONGEST_NAME ? name : `${name.slice(0, LONGEST_NAME)}… ${sha256(name).slice(0, 8)}`;
}

function nothingThere({ name, place }: Acknowledgement, hasComments: boolean): string {
  const why = isComment(name) && !hasComments ? 'comments are left out' : 'there is nothing to acknowledge';
  return `${place}: ${name}: ${why}; take the line out.`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

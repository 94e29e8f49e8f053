import type { DefinitionText } from '../../../../../database/catalog/definition-texts.js';
import { type SqlLiteral, scanLiterals } from '../../../../../services/sql-script.js';

/** Something in a definition that could be a value of somebody. */
export interface TellingLiteral {
  readonly kind: SqlLiteral['kind'];
  readonly value: string;
}

/** Of a number, how many digits may say nothing. */
const FEW_DIGITS = 3;

/** What the options of PostgreSQL itself take. */
const OPTION_WORDS = new Set(['on', 'off', 'yes', 'no', 'true', 'false', 'auto', 'none', 'local', 'cascaded']);

/** The literals of a definition that could carry something, each once and sorted. */
export async function tellingLiterals(texts: readonly DefinitionText[]): Promise<readonly TellingLiteral[]> {
  const found = new Map<string, TellingLiteral>();
  for (const text of texts) {
    for (const { kind, value } of await literalsOf(text)) found.set(JSON.stringify([kind, value]), { kind, value });
  }
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, literal]) => literal);
}

async function literalsOf({ manner, text }: DefinitionText): Promise<readonly TellingLiteral[]> {
  const whole: TellingLiteral[] = [{ kind: 'text', value: text }];
  if (manner === 'option' && OPTION_WORDS.has(text.toLowerCase())) return [];
  if (manner === 'option' || manner === 'whole') return isTelling(text) ? whole : [];
  // it ends the text, or does not, depending on a setting of the session that the function is called in
  const literals = manner === 'body' && text.includes("\\'") ? null : await scanLiterals(text);
  if (literals === null) return whole;
  // in what the server has written, such a name has been looked up
  const meant = literals.filter(({ isName }) => manner === 'body' || !isName);
  return meant.filter(isTellingLiteral).map(({ kind, value }) => ({ kind, value }));
}

function isTellingLiteral({ kind, value, isEscaped }: SqlLiteral): boolean {
  if (kind === 'number') return !isSmallNumber(value);
  return isTelling(isEscaped ? value.replaceAll(/\\[bfnrt\\]/g, ' ') : value);
}

/** Nothing can be known from one character, from punctuation, from `true` and `false`, and from a number of few digits. */
function isTelling(value: string): boolean {
  const carriesNothing =
    [...value].length <= 1 ||
    /^(?:\s|[!-/:-@[-`{-~])*$/.test(value) ||
    /^(?:true|false)$/i.test(value) ||
    (/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(value) && isSmallNumber(value));
  return !carriesNothing;
}

function isSmallNumber(text: string): boolean {
  if (/^0[xob]/i.test(text)) return Number(text) < 10 ** FEW_DIGITS;
  return text.replaceAll(/\D/g, '').replace(/^0+/, '').length <= FEW_DIGITS;
}

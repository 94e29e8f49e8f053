import type { DefinitionDifference } from './found-difference.js';
import type { Part } from './part.js';
import type { Side, Sides } from './side.js';

/** What sorts and stores texts. The rest of what a database has by itself belongs to its environment. */
export function encodingDifference({ from, to }: Sides, { selection }: Part): DefinitionDifference[] {
  if (selection !== null) return [];
  const of = ({ properties: { encoding, locale } }: Side) => {
    const { name, ...more } = locale;
    return { encoding, ...more, locale: name };
  };
  const [one, other] = [of(from), of(to)];
  const properties = Object.keys(one) as (keyof typeof one)[];
  const changes = properties
    .filter((property) => one[property] !== other[property])
    .map((property) => ({ property, from: one[property], to: other[property] }));
  if (changes.length === 0) return [];
  const names = { kind: 'database', schema: null, name: 'encoding and locale' };
  return [{ ...names, state: 'different', isPart: false, changes, hasDdl: false }];
}

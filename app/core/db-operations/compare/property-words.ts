import type { PropertyChange } from './found-difference.js';

/** What single letters of the catalog stand for. */
const LETTERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  enabled: { O: 'origin', D: 'disabled', R: 'replica', A: 'always' },
  persistence: { p: 'permanent', u: 'unlogged' },
  'replica identity': { d: 'default', n: 'nothing', f: 'full', i: 'index' },
  storage: { p: 'plain', e: 'external', m: 'main', x: 'extended' },
  compression: { p: 'pglz', l: 'lz4' },
};

/** The same change in PostgreSQL's words. */
export function inWords({ property, from, to }: PropertyChange): PropertyChange {
  const words = (value: unknown) => (typeof value === 'string' ? (LETTERS[property]?.[value] ?? value) : value);
  return { property, from: words(from), to: words(to) };
}

import { listed } from '../../../listed.js';
import type { DefinitionDifference } from '../../compare/found-difference.js';

/** `index clinic.notes_at, column clinic.notes.body (storage)` */
export function kindsAndNames(differences: readonly DefinitionDifference[]): string {
  const words = differences.map(({ kind, name, changes }) => {
    const properties = changes.map(({ property }) => property).join(', ');
    return `${kind}${name === '' ? '' : ` ${name}`}${properties === '' ? '' : ` (${properties})`}`;
  });
  return listed(words, 10);
}

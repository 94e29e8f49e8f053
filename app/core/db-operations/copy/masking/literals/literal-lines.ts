import { yamlScalar } from '../yaml-scalar.js';
import type { UnacknowledgedLiterals } from './plan-literals.js';
import type { TellingLiteral } from './telling.js';

/** Characters of what a definition says, in a line about it. */
const SHOWN = 60;

/**
 * Definitions as they stand in `masking.yaml` below `literals:` once they are acknowledged, with what they say as a comment. For the
 * user's own terminal and file: not for a log, nor for the copy.
 */
export async function literalLines(definitions: readonly UnacknowledgedLiterals[]): Promise<string[]> {
  const scalar = await yamlScalar();
  return definitions.map(({ name, digest, literals, isChanged }) => {
    const said = cut(literals.map(shown).join(', '), literals.length);
    return `  ${scalar(name)}: ${digest} # ${isChanged ? 'changed: ' : ''}${said}`;
  });
}

function shown({ kind, value }: TellingLiteral): string {
  if (kind === 'text') return `'${value}'`;
  return kind === 'comment' ? `-- ${value.trim()}` : value;
}

/** A comment ends with its line, and shows nothing in another order than it stands. */
function cut(said: string, count: number): string {
  const characters = [...said.replaceAll(/[\s\p{C}\p{Zl}\p{Zp}]+/gu, ' ')];
  if (characters.length <= SHOWN) return characters.join('');
  return `${characters.slice(0, SHOWN).join('')}…${count === 1 ? '' : ` (${count} in all)`}`;
}

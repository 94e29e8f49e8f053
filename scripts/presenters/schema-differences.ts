import type { SchemaDifference } from '../../app/core/db-operations/rehearse-migrations.js';
import { shortened } from '../../app/core/listed.js';
import { printable } from './printable.js';

const MOST_SHOWN = 20;

/** One line a difference: what is left over, missing or changed. */
export function differenceLines(differences: readonly SchemaDifference[]): readonly string[] {
  const lines = differences.map((one) => printable(`${one.kind} ${one.name} ${stateOf(one)}`));
  return shortened(lines, MOST_SHOWN);
}

function stateOf({ kind, state, changes }: SchemaDifference): string {
  if (state === 'left_over') return 'is left over';
  if (state === 'missing') return 'is missing';
  const [first] = changes;
  if (kind === 'rows' || kind === 'values')
    return first === undefined ? 'are others' : `are ${textOf(first.to)}, and were ${textOf(first.from)}`;
  const properties = [...new Set(changes.map(({ property }) => property))];
  const values = properties.length === 1 && first !== undefined ? `: ${textOf(first.from)} → ${textOf(first.to)}` : '';
  return `is another one${properties.length === 0 ? '' : ` (${properties.join(', ')}${values})`}`;
}

function textOf(value: unknown): string {
  const text = typeof value === 'string' ? value : value === null ? 'nothing' : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

import { escapeIdentifier } from 'pg';
import { type RelationName, readRelationNames } from '../../../database/catalog/relation-names.js';
import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import { nearest } from '../../nearest.js';
import { nextCommand } from '../../next-command.js';

type Named = Pick<RelationName, 'schema' | 'name'>;

/**
 * The relation that a user means by `typed`: `clinic.users`, `users`, `"My Schema"."My Table"`. A name that is found as
 * typed wins; otherwise case is folded, as PostgreSQL folds it. Every spelling is compared with the names that exist, so
 * nothing has to be parsed, and a name with a dot or a quote in it can be typed as it is.
 *
 * @throws ManageDbError `NOT_FOUND` with the nearest name, `USAGE` when more than one schema has it
 */
export async function findRelation(db: Queryable, typed: string, schema?: string): Promise<RelationName> {
  const all = await readRelationNames(db);
  const names = schema === undefined ? all : all.filter((relation) => relation.schema === schema);
  const matches = meant(names, typed);
  const [match] = matches;
  if (match === undefined) throw notFound(names, typed);
  if (matches.length > 1) throw ambiguous(matches, typed);
  return match;
}

/**
 * Refuses a name that no relation has; one that several schemas have is fine.
 *
 * @throws ManageDbError `NOT_FOUND` with the nearest name
 */
export async function requireRelation(db: Queryable, typed: string, schema?: string): Promise<void> {
  const all = await readRelationNames(db);
  const names = schema === undefined ? all : all.filter((relation) => relation.schema === schema);
  if (meant(names, typed).length === 0) throw notFound(names, typed);
}

/** Those of `names` that `typed` means, as it stands or folded; none is an empty list. */
export function meant<T extends Named>(names: readonly T[], typed: string): readonly T[] {
  return matching(names, typed) ?? matching(names, typed.toLowerCase()) ?? [];
}

function matching<T extends Named>(names: readonly T[], typed: string): readonly T[] | undefined {
  const matches = names.filter(({ schema, name }) =>
    spellings(name).some((end) => typed === end || spellings(schema).some((start) => typed === `${start}.${end}`)),
  );
  return matches.length > 0 ? matches : undefined;
}

/** How somebody may write a name: as it is, or quoted. */
export function spellings(name: string): readonly string[] {
  return [name, escapeIdentifier(name)];
}

function notFound(names: readonly RelationName[], typed: string): ManageDbError {
  const suggestion = typed.includes('.')
    ? nearest(typed, names.map(qualified))
    : qualifiedOf(
        names,
        nearest(
          typed,
          names.map(({ name }) => name),
        ),
      );
  return new ManageDbError('NOT_FOUND', `There is no table or view ${typed}.`, {
    hint: suggestion ? `Did you mean ${suggestion}?` : `${nextCommand('inspect-db --tables')} lists what there is.`,
    details: { table: typed, suggestion },
  });
}

function qualifiedOf(names: readonly RelationName[], name: string | null): string | null {
  const relation = names.find((candidate) => candidate.name === name);
  return relation === undefined ? null : qualified(relation);
}

function ambiguous(matches: readonly RelationName[], typed: string): ManageDbError {
  const candidates = matches.map(qualified);
  return new ManageDbError('USAGE', `${typed} is in ${matches.length} schemas: ${candidates.join(', ')}.`, {
    hint: `Name the schema too: --table '${candidates[0]}'`,
    details: { table: typed, candidates },
  });
}

/** `schema.name`, each quoted where PostgreSQL would need the quotes. */
export function qualified({ schema, name }: Named): string {
  return `${quotedWhereNeeded(schema)}.${quotedWhereNeeded(name)}`;
}

export function quotedWhereNeeded(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : escapeIdentifier(name);
}

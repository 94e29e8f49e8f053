import type { Column } from '../../../database/catalog/columns.js';
import { mermaidComment, mermaidName, mermaidText, mermaidWord } from './mermaid-words.js';

/** What a diagram begins with: nothing else is written over. */
export const FIRST_LINE =
  '%% The tables of the database, for those who read it: written by manage_db inspect-db --diagram. Do not edit.';

interface EntityName {
  readonly schema: string;
  readonly name: string;
}

export interface DrawnEntity extends EntityName {
  readonly comment: string | null;
  readonly columns: readonly Pick<Column, 'name' | 'type' | 'comment'>[];
  /** The columns of the primary key. */
  readonly primary: readonly string[];
  /** The columns of each other unique key, and of each foreign key. */
  readonly unique: readonly (readonly string[])[];
  readonly foreign: readonly (readonly string[])[];
}

export interface DrawnRelationship {
  /** The table that is referred to. */
  readonly from: EntityName;
  /** The one that has the foreign key. */
  readonly to: EntityName;
  /** Of the foreign key. */
  readonly columns: readonly string[];
  /** Every row refers to another one. */
  readonly isMandatory: boolean;
  /** No two rows refer to the same one. */
  readonly isAtMostOne: boolean;
  /** The foreign key is part of the primary key. */
  readonly isIdentifying: boolean;
}

/**
 * An erDiagram of Mermaid, ended by a newline: the same text for the same tables, in whatever order they come. It keeps to what
 * Mermaid has understood since version 10.
 */
export function asMermaid(entities: readonly DrawnEntity[], relationships: readonly DrawnRelationship[]): string {
  const boxes = entities.map((entity) => [nameOf(entity), linesOf(entity)] as const);
  const lines = new Set(relationships.map(lineOf));
  return [
    FIRST_LINE,
    'erDiagram',
    ...boxes.sort(([one], [other]) => (one < other ? -1 : 1)).flatMap(([, entity]) => entity),
    ...[...lines].sort(),
    '',
  ].join('\n');
}

function linesOf(entity: DrawnEntity): readonly string[] {
  return [
    ...(entity.comment === null ? [] : [`    %% ${mermaidComment(entity.comment)}`]),
    `    ${nameOf(entity)} {`,
    ...entity.columns.map((column) => `        ${attribute(column, entity)}`),
    '    }',
  ];
}

/** `numeric(12_2) price UK "type numeric(12,2); what it costs"` */
function attribute(column: DrawnEntity['columns'][number], { primary, unique, foreign }: DrawnEntity): string {
  const type = mermaidWord(shortType(column.type));
  const name = mermaidWord(column.name);
  const keys = [
    ...(primary.includes(column.name) ? ['PK'] : []),
    ...(foreign.some((key) => key.includes(column.name)) ? ['FK'] : []),
    ...(unique.some((key) => key.length === 1 && key[0] === column.name) ? ['UK'] : []),
  ];
  const remarks = [
    ...(name === column.name ? [] : [`column ${column.name}`]),
    ...(type === shortType(column.type) ? [] : [`type ${column.type}`]),
    // Mermaid has no word for a key of several columns
    ...unique
      .filter((key) => key.length > 1 && key.includes(column.name))
      .map((key) => `unique (${key.join(', ')})`)
      .sort(),
    ...(column.comment === null ? [] : [column.comment]),
  ];
  const words = [type, name, ...(keys.length === 0 ? [] : [keys.join(', ')])];
  return [...words, ...(remarks.length === 0 ? [] : [`"${mermaidComment(remarks.join('; '))}"`])].join(' ');
}

function lineOf({ from, to, columns, isMandatory, isAtMostOne, isIdentifying }: DrawnRelationship): string {
  const arrow = `${isMandatory ? '||' : '|o'}${isIdentifying ? '--' : '..'}${isAtMostOne ? 'o|' : 'o{'}`;
  return `    ${nameOf(from)} ${arrow} ${nameOf(to)} : "${mermaidText(columns.join(', '))}"`;
}

function nameOf({ schema, name }: EntityName): string {
  return `"${mermaidName(schema, name)}"`;
}

/** The other names of types that PostgreSQL spells in several words. */
const SHORT_TYPES: readonly (readonly [RegExp, string])[] = [
  [/^timestamp(\(\d\))? with time zone/, 'timestamptz$1'],
  [/^timestamp(\(\d\))? without time zone/, 'timestamp$1'],
  [/^time(\(\d\))? with time zone/, 'timetz$1'],
  [/^time(\(\d\))? without time zone/, 'time$1'],
  [/^character varying/, 'varchar'],
  [/^character/, 'char'],
  [/^bit varying/, 'varbit'],
  [/^double precision/, 'float8'],
];

function shortType(type: string): string {
  const [pattern, short] = SHORT_TYPES.find(([pattern]) => pattern.test(type)) ?? [];
  return pattern === undefined || short === undefined ? type : type.replace(pattern, short);
}

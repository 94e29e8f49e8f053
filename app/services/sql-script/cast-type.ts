import type { TypeName } from 'libpg-query';
import { escapeIdentifier } from 'pg';
import { textsOf } from './parse-tree.js';
import { typeName } from './type-name.js';

/** A type as a cast wants it, quoted and with its modifiers: `"pg_catalog"."varchar"(10)`. */
export function castType(type: TypeName): string {
  return `${regtypeText(type, modifiers(type))}`;
}

/** A type as `to_regtype` wants it: without modifiers. */
export function regtypeText({ names, arrayBounds = [] }: TypeName, between = ''): string {
  return `${textsOf(names)
    .map((name) => escapeIdentifier(name))
    .join('.')}${between}${'[]'.repeat(arrayBounds.length)}`;
}

/** A type for people: `character varying(10)`. */
export function typeWords(type: TypeName): string {
  const { arrayBounds: _bounds, ...element } = type;
  return `${typeName(element)}${modifiers(type)}${'[]'.repeat(type.arrayBounds?.length ?? 0)}`;
}

function modifiers({ typmods = [] }: TypeName): string {
  const values = typmods.flatMap((node) =>
    'A_Const' in node && node.A_Const.ival !== undefined ? [String(node.A_Const.ival.ival ?? 0)] : [],
  );
  return values.length === 0 ? '' : `(${values.join(', ')})`;
}

import { createHash } from 'node:crypto';
import type { TriggerMode } from '../../database/catalog/trigger-sql.js';
import type { TriggerDeclaration } from './declaration.js';
import type { TriggerPack } from './pack.js';

/** What a declaration says about a trigger, wherever it is: two that are equal here need not be told apart. */
export type DeclaredState = Readonly<{
  timing: string;
  on: readonly string[];
  level: string;
  updateOf: readonly string[] | null;
  when: string | null;
  function: string;
  args: readonly string[];
  oldTable: string | null;
  newTable: string | null;
  constraint: string | null;
  mode: TriggerMode;
  version: number;
}>;

/** Lists that mean the same in any order are in one order. */
export function declaredState(declaration: TriggerDeclaration, pack: TriggerPack): DeclaredState {
  const { constraint, referencing, updateOf } = declaration;
  const called = qualifiedFunction(declaration, pack);
  return {
    timing: declaration.timing,
    on: [...declaration.on].sort(),
    level: declaration.level,
    updateOf: updateOf === null ? null : [...updateOf].sort(),
    when: declaration.when,
    function: `${called.schema}.${called.name}`,
    args: declaration.args,
    oldTable: referencing.old,
    newTable: referencing.new,
    constraint: constraint === null ? null : constraintWords(constraint),
    mode: declaration.mode,
    version: declaration.version,
  };
}

/** SHA-256 in hexadecimal. */
export function checksumOf(state: DeclaredState): string {
  return createHash('sha256').update(JSON.stringify(state)).digest('hex');
}

/** The function that a declaration calls: without a schema of its own, in that of its pack. */
export function qualifiedFunction(
  { function: called }: TriggerDeclaration,
  { functionSchema }: TriggerPack,
): { readonly schema: string; readonly name: string } {
  const [first = '', second] = called.split('.');
  return second === undefined ? { schema: functionSchema, name: first } : { schema: first, name: second };
}

export function constraintWords({
  deferrable,
  initiallyDeferred,
}: {
  readonly deferrable: boolean;
  readonly initiallyDeferred: boolean;
}): string {
  if (!deferrable) return 'not deferrable';
  return `deferrable, initially ${initiallyDeferred ? 'deferred' : 'immediate'}`;
}

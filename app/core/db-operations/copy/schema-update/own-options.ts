import type { Fact, FactBase, StableId } from '@supabase/pg-delta';
import { isSecretOption } from '../../../../database/catalog/armed-objects.js';

/** Where options of foreign data that may be secret stay behind. */
export interface OwnOptions {
  readonly object: StableId;
  /** Of the source, and the target has none of that name. */
  readonly missing: readonly string[];
  /** Of the target. */
  readonly kept: readonly string[];
}

/**
 * The facts of FROM, with options of wrappers, servers and foreign tables that may be secret as they are in TO: pg-delta reads no values of
 * those, so each environment has its own. What is made anew comes without them.
 *
 * @param isFilled whether all is made by pg_dump's statements, which have the values: then only what is a secret by its name stays behind
 */
export async function withOwnOptions(
  from: FactBase,
  to: FactBase,
  isFilled: boolean,
): Promise<{ readonly facts: FactBase; readonly ownOptions: readonly OwnOptions[] }> {
  const { buildFactBase } = await import('@supabase/pg-delta');
  const ownOptions: OwnOptions[] = [];
  const facts = from.facts().map((fact) => {
    const { id, payload } = fact;
    if (!hasOptions(id)) return fact;
    const [ours, theirs] = [optionsOf(fact), optionsOf(to.get(id))];
    const kept = theirs.filter(isHidden);
    const isLeft = (option: string) => isHidden(option) && !(isFilled && !isSecretOption(keyOf(option)));
    const keys = kept.map(keyOf);
    const missing = ours.filter((option) => isLeft(option) && !keys.includes(keyOf(option))).map(keyOf);
    if (missing.length + kept.length > 0) ownOptions.push({ object: id, missing, kept: keys });
    return { ...fact, payload: { ...payload, options: [...ours.filter((option) => !isLeft(option)), ...kept].sort() } };
  });
  return { facts: buildFactBase(facts, [...from.edges], from.source, from.referenceOnly), ownOptions };
}

/** With options in an order that does not depend on the database. */
export async function withSortedOptions(base: FactBase): Promise<FactBase> {
  const { buildFactBase } = await import('@supabase/pg-delta');
  const facts = base.facts().map((fact) => {
    if (!hasOptions(fact.id)) return fact;
    return { ...fact, payload: { ...fact.payload, options: [...optionsOf(fact)].sort() } };
  });
  return buildFactBase(facts, [...base.edges], base.source, base.referenceOnly);
}

/** Whether a statement would make what stands for an option that is not read an option. */
export function makesUpOptions(sql: string): boolean {
  return OF_CONNECTIONS.test(sql) && PLACEHOLDER.test(sql);
}

const OF_CONNECTIONS = /^(CREATE|ALTER) (FOREIGN DATA WRAPPER|SERVER|FOREIGN TABLE|USER MAPPING|SUBSCRIPTION) /;
const PLACEHOLDER = /(OPTIONS \(|CONNECTION ).*__(OPTION|CONN)_.*__/s;

function hasOptions({ kind }: StableId): boolean {
  return kind === 'fdw' || kind === 'server' || kind === 'foreignTable';
}

/** Each as `key=value`. */
function optionsOf(fact: Fact | undefined): string[] {
  const options = fact?.payload.options;
  return Array.isArray(options) ? options.map(String) : [];
}

/** pg-delta shows the values of options that it knows to be harmless, and writes this for others. */
function isHidden(option: string): boolean {
  const key = keyOf(option);
  return option === `${key}=__OPTION_${key.toUpperCase()}__`;
}

function keyOf(option: string): string {
  return option.split('=', 1)[0] ?? '';
}

import type { Action, Delta, FactBase, StableId } from '@supabase/pg-delta';
import type { DefinitionDetail } from '../../../../database/catalog/definition-details.js';
import { findDifferences } from '../../compare/differences.js';
import type { DefinitionDifference } from '../../compare/found-difference.js';
import { rolesMissing } from '../../compare/incomparable.js';
import { detailsOf, type Part, partOf } from '../../compare/part.js';
import { type DdlScript, planActions } from '../../compare/plan-ddl.js';
import type { Definitions } from '../../compare/read-definitions.js';
import { alignQueries } from '../../compare/same-query.js';
import { LEFT_AT_HOME } from '../left-at-home.js';
import { withoutCommentsOnMembers } from './comments-on-members.js';
import { desiredFacts, withoutConnections, withoutNewGrants } from './desired-facts.js';
import { detailsAfter, grantsKept } from './expected-details.js';
import { type OwnOptions, withOwnOptions, withSortedOptions } from './own-options.js';
import { isEmptySchema } from './plain-schema.js';
import type { WantedSchema } from './wanted-schema.js';

/** What leads from the schema that is there to the one that is wanted. */
export interface UpdateSteps {
  readonly actions: readonly Action[];
  readonly deltas: readonly Delta[];
  readonly settings: DdlScript['settings'];
  /** Why nothing can be planned. */
  readonly problem: string | null;
  readonly differences: readonly DefinitionDifference[];
  /** What will be different all the same. */
  readonly remaining: readonly DefinitionDifference[];
  /** Roles that it would name, and that the target's server does not have. */
  readonly missingRoles: readonly string[];
  /** What belongs to one environment, and takes no part. */
  readonly leftOut: readonly StableId[];
  readonly ownOptions: readonly OwnOptions[];
  readonly desired: FactBase;
  readonly present: FactBase;
}

export interface PresentSchema {
  readonly definitions: Definitions;
  readonly major: number;
  /** The version that each extension would be made in. */
  readonly extensions: ReadonlyMap<string, string>;
}

/** Computes the difference between what is wanted and what is there, and the statements that make it disappear. */
export async function updateSteps(wanted: WantedSchema, present: PresentSchema): Promise<UpdateSteps> {
  const parts = partsOf(wanted, present.major);
  const ours = await takingPart(wanted.definitions, parts.wanted);
  const theirs = await takingPart(present.definitions, parts.present);
  const to = await alignQueries(ours.facts, theirs.facts, parts.wanted);
  const { facts, ownOptions } = await withOwnOptions(ours.facts, to, isEmptySchema(to));
  const desired = wanted.withGrants ? facts : await desiredFacts(facts, to);
  const [fromDetails, toDetails] = [
    detailsIn(wanted.definitions, parts.wanted),
    detailsIn(present.definitions, parts.wanted),
  ];
  const differences = await findDifferences({ from: desired, to, fromDetails, toDetails });
  const { actions, deltas, settings, problem } = await planActions(desired, to);
  const expected = detailsAfter({
    ...{ fromDetails, toDetails, actions, desired, ownOptions },
    extensions: present.extensions,
  });
  const left = await findDifferences({ from: desired, to: desired, fromDetails, toDetails: expected });
  // no statement gives an object to an extension, or takes it from one
  const ofExtensions = differences.filter(({ changes }) => changes.some(({ property }) => property === 'extension'));
  const remaining = [...left, ...ofExtensions];
  return {
    ...{ actions, deltas, settings, problem, differences, remaining, desired, ownOptions },
    missingRoles: missingRoles(wanted, present, desired, deltas),
    leftOut: [...ours.leftOut, ...theirs.leftOut],
    present: to,
  };
}

/** What is different when all has been executed; grants and owners of what was there before take part. */
export async function remainingDifferences(
  wanted: WantedSchema,
  { desired, present: before }: UpdateSteps,
  { was, now, major }: { readonly was: Definitions; readonly now: Definitions; readonly major: number },
): Promise<DefinitionDifference[]> {
  const parts = partsOf(wanted, major);
  const facts = (await takingPart(now, parts.present)).facts;
  const aligned = await alignQueries(desired, facts, parts.wanted);
  const to = wanted.withGrants ? aligned : await withoutNewGrants(aligned, before);
  const fromDetails = detailsIn(wanted.definitions, parts.wanted);
  if (wanted.withGrants) {
    return findDifferences({ from: desired, to, fromDetails, toDetails: detailsIn(now, parts.wanted) });
  }
  const kept = grantsKept(detailsIn(was, parts.present), {
    wanted: fromDetails,
    now: detailsIn(now, parts.present),
    desired,
  });
  return findDifferences({ from: desired, to, fromDetails: kept.wanted, toDetails: kept.now });
}

async function takingPart(definitions: Definitions, part: Part): ReturnType<typeof withoutConnections> {
  const own = await withoutCommentsOnMembers(await partOf(definitions, part), definitions);
  const { facts, leftOut } = await withoutConnections(own);
  return { facts: await withSortedOptions(facts), leftOut };
}

function partsOf({ major, withGrants }: WantedSchema, ofTarget: number): { wanted: Part; present: Part } {
  const majors = { oldestMajor: Math.min(major, ofTarget), newestMajor: Math.max(major, ofTarget) };
  return {
    wanted: { selection: null, withOwners: withGrants, withGrants, ...majors },
    present: { selection: null, withOwners: true, withGrants: true, ...majors },
  };
}

function detailsIn(definitions: Definitions, part: Part): DefinitionDetail[] {
  return detailsOf(definitions, part).filter(
    ({ kind, name }) =>
      kind !== 'subscription' && kind !== 'user mapping' && !(kind === 'extension' && LEFT_AT_HOME.includes(name)),
  );
}

function missingRoles(
  wanted: WantedSchema,
  present: PresentSchema,
  desired: FactBase,
  deltas: readonly Delta[],
): string[] {
  const there = new Set(present.definitions.facts.facts().flatMap(({ id }) => (id.kind === 'role' ? [id.name] : [])));
  const ofPolicies = deltas.flatMap((delta) => {
    const id = delta.verb === 'add' ? delta.fact.id : delta.verb === 'set' ? delta.id : null;
    const roles = id?.kind === 'policy' ? desired.get(id)?.payload.roles : null;
    return Array.isArray(roles) ? roles.map(String) : [];
  });
  const named = wanted.withGrants ? rolesMissing(wanted.definitions, present.definitions) : [];
  const isMissing = (role: string) => role !== 'PUBLIC' && !role.startsWith('pg_') && !there.has(role);
  return [...new Set([...named, ...ofPolicies.filter(isMissing)])].sort();
}

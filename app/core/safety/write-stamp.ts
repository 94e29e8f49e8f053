import { type EnvironmentConfig, getConfig } from '../../config/db-config.js';
import type { Queryable } from '../../database/queryable.js';
import { type Ancestor, type NewStamp, readStamp, writeStamp } from '../../database/records/identity.js';
import { readObservation } from '../../database/records/observation.js';
import { actorName } from '../../services/actor-name.js';
import { type Forebear, lineageAfter, type Stamp } from './stamp.js';
import type { Target } from './target.js';

/**
 * Stamps a database that has just been made, or that the gate has let pass without a stamp, with its environment. One that
 * was empty then and has a stamp or something in it now stays as it is: somebody else has come first.
 *
 * @param db the schema manage_db is in place
 * @returns whether it was stamped now
 */
export async function stampIfNew(db: Queryable, target: Target): Promise<boolean> {
  const { state, wasEmpty } = target.stamp ?? {};
  const isNew = state === 'missing' || state === 'unstamped';
  if (!isNew || (await readStamp(db)) !== null) return false;
  if (wasEmpty && !(await readObservation(db)).isEmpty) return false;
  await writeStamp(db, { ...stampOf(await getConfig()), reason: null, lineage: [] });
  return true;
}

/** What the settings of an environment say about the databases that belong to it. */
export function stampOf({ environment, security, killSwitch }: EnvironmentConfig) {
  return {
    environment,
    protected: security.protected,
    killSwitch: killSwitch.isOn,
    expectedHosts: security.expectedHosts,
    stampedBy: actorName(),
  };
}

export interface RestoredStamp {
  /** Of the database that is replaced; `null` where there is none. */
  readonly live: Stamp | null;
  /** Where the contents are from. */
  readonly source: StampedSource;
  /** The name that the database will have. */
  readonly database: string;
  readonly arrival: Arrival;
  readonly reason: string | null;
}

/** How contents have come into a scratch database. */
export type Arrival =
  | { readonly became: 'restored'; readonly backup: string }
  /** They are those of a previous database, which is put back. */
  | { readonly became: 'returned' }
  | {
      readonly became: 'copied';
      readonly of: Forebear;
      /** ISO; the moment of it that the copy shows. */
      readonly copiedAt: string;
      /** SHA-256 of the masking rules; `null`: as it was. */
      readonly masking: string | null;
    };

/** How careful one has to be with what comes from an environment. */
export interface StampedSource {
  readonly isProtected: boolean;
  readonly killSwitch: boolean;
}

/**
 * What says that a database holds from now on what another environment held, where its contents were replaced in place:
 * it stays what it is, and is never milder than where they are from.
 */
export async function replacedStamp(
  { stamp, isProtected }: Target,
  { source, reason }: { readonly source: StampedSource; readonly reason: string | null },
): Promise<NewStamp> {
  const live = stamp?.says ?? null;
  const config = stampOf(await getConfig());
  return {
    ...config,
    environment: live?.environment ?? config.environment,
    protected: isProtected || config.protected || source.isProtected,
    killSwitch: config.killSwitch || live?.killSwitch === true || isSwitched(source),
    expectedHosts: live?.expectedHosts ?? config.expectedHosts,
    reason,
    lineage: live?.lineage ?? [],
  };
}

/** The kill switch of what is open is about changes of it, not about what it holds. */
function isSwitched({ isProtected, killSwitch }: StampedSource): boolean {
  return isProtected && killSwitch;
}

/**
 * Stamps a scratch database with restored contents as what it is about to become: what the live one says, and never
 * milder than the environment or the stamp that came with the contents. Keeps the lineage of the contents.
 *
 * @param db the scratch database, with the schema manage_db in place
 */
export async function stampRestored(
  db: Queryable,
  target: Target,
  { live, source, database, arrival, reason }: RestoredStamp,
): Promise<void> {
  // a copy need not bring it along, and what is masked is not what was stamped
  const contents = arrival.became === 'copied' ? null : await readStamp(db);
  const config = stampOf(await getConfig());
  const event = { at: new Date().toISOString(), by: actorName(), reason };
  await writeStamp(db, {
    ...config,
    environment: live?.environment ?? config.environment,
    protected: target.isProtected || config.protected || contents?.protected === true || source.isProtected,
    killSwitch: config.killSwitch || live?.killSwitch === true || contents?.killSwitch === true || isSwitched(source),
    expectedHosts: live?.expectedHosts ?? config.expectedHosts,
    database,
    reason,
    lineage: lineageWith(arrival, contents, event),
  });
}

function lineageWith(
  arrival: Arrival,
  contents: Stamp | null,
  event: Pick<Ancestor, 'at' | 'by' | 'reason'>,
): readonly Ancestor[] {
  switch (arrival.became) {
    case 'restored':
      return lineageAfter(contents, { became: 'restored', ...event, backup: arrival.backup });
    case 'returned':
      return lineageAfter(contents, { became: 'restored', ...event });
    case 'copied': {
      const { of, copiedAt, masking } = arrival;
      return lineageAfter(of, { became: 'copied', ...event, copiedAt, ...(masking === null ? {} : { masking }) });
    }
  }
}

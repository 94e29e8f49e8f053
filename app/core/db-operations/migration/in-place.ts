import { readVolatileFunctions } from '../../../database/catalog/named-objects.js';
import { readPresence, readStartingSchemas, type WantedObject } from '../../../database/catalog/present-objects.js';
import type { Queryable } from '../../../database/queryable.js';
import { type CreatingStatement, type Creation, readCreations } from '../../../services/sql-script.js';
import { versionKey } from '../../migration-versions.js';
import { quotedWhereNeeded } from '../inspection/find-relation.js';
import type { MigrationStatus } from './states.js';

/** What a migration that is not recorded as applied would make, and the database has already: applying it would fail. */
export interface InPlace {
  /** `table notes`, `column notes.body`. */
  readonly objects: readonly string[];
  /**
   * Everything that it makes by a name of its own is there: its record is gone, or the database is older than the records. Of rows,
   * rights and other changes nobody can tell.
   */
  readonly isWhole: boolean;
}

/**
 * Which of the migrations that are not recorded are in place nevertheless, by {@link versionKey}. What is made IF NOT EXISTS or
 * OR REPLACE proves nothing, nor does what may have been dropped or renamed by the time the statement is reached.
 *
 * @param db with the search_path pinned
 */
export async function readInPlace(
  db: Queryable,
  states: readonly MigrationStatus[],
): Promise<ReadonlyMap<string, InPlace>> {
  const first = states.findIndex(({ migration, record }) => migration !== null && record === null);
  if (first < 0) return new Map();
  const starting = await readStartingSchemas(db);
  const run = new Run(db, starting[0] === 'manage_db' ? ['public'] : starting);
  for (const state of states.slice(first)) await run.follow(state);
  const { made } = run;
  const isThere = await readPresence(
    db,
    made.map(({ wanted }) => wanted),
  );
  const found = new Map<string, InPlace>();
  for (const version of new Set(made.map((one) => one.version))) {
    const own = made.flatMap((one, index) =>
      one.version === version ? [{ ...one, isThere: isThere[index] === true }] : [],
    );
    const objects = own.filter((one) => one.isThere && one.isProof).map(({ creation }) => shown(creation));
    const isWhole = !run.unknown.has(version) && own.every((one) => one.isThere || run.isDisplaced(one.creation));
    if (objects.length > 0) found.set(version, { objects: [...new Set(objects)], isWhole });
  }
  return found;
}

/**
 * The last version up to which everything that is not recorded is in place as a whole: up to there a baseline records nothing
 * of which something is known to be missing. `null`: there is none.
 */
export function recordableUpTo(
  states: readonly MigrationStatus[],
  inPlace: ReadonlyMap<string, InPlace>,
): string | null {
  let last: string | null = null;
  for (const { version, migration, record, state } of states) {
    // up to it nothing is recorded either
    if (state === 'edited') break;
    if (migration === null || record !== null) continue;
    if (inPlace.get(versionKey(version))?.isWhole !== true) break;
    last = version;
  }
  return last;
}

interface Made {
  readonly version: string;
  readonly creation: Creation;
  readonly wanted: WantedObject;
  readonly isProof: boolean;
}

/** The files from the first that is not recorded on, one after the other. */
class Run {
  readonly made: Made[] = [];
  /** Versions of which something could not be looked for. */
  readonly unknown = new Set<string>();
  /** Names that mean something else by now, or may. */
  private readonly displaced = new Set<string>();
  private readonly loosened = new Set<string>();
  /** What recorded ones have displaced since, which says why something is not there. */
  private readonly since = new Set<string>();
  private isUnforeseen = false;

  /** Schemas that are made on the way: from then on they come first where they are in the search_path. */
  private readonly schemas = new Set<string>();

  constructor(
    private readonly db: Queryable,
    private readonly starting: readonly string[],
  ) {}

  async follow({ version, migration, record, statementsDone }: MigrationStatus): Promise<void> {
    if (migration === null) return;
    const { up } = migration;
    const statements = up.kind === 'sql' ? await readCreations(up.source) : null;
    if (record !== null) {
      for (const { displaced } of statements ?? []) for (const name of displaced) this.since.add(name);
      return;
    }
    let path = this.starting;
    for (const statement of statements ?? []) {
      if (statement.searchPath !== undefined) path = statement.searchPath ?? this.starting;
      this.isUnforeseen ||= (await readVolatileFunctions(this.db, statement.calls)).length > 0;
      // of one that was begun, its journal knows which part is there
      if (statementsDone === null) this.note(versionKey(version), statement, path);
      for (const name of statement.displaced) this.displaced.add(name);
      for (const table of statement.loosened) this.loosened.add(table);
      this.isUnforeseen ||= statement.isUnforeseen;
    }
    this.isUnforeseen ||= statements === null;
  }

  private note(version: string, { creations }: CreatingStatement, path: readonly string[]): void {
    if (this.isUnforeseen) {
      if (creations.length > 0) this.unknown.add(version);
      return;
    }
    for (const creation of creations) {
      const { kind, name, table, argumentTypes, isPlain } = creation;
      if (kind === 'schema') this.schemas.add(name);
      const schemas = creation.schema === null ? this.upToNewest(path) : [creation.schema];
      const isGone = (kind === 'index' || kind === 'constraint') && table !== null && this.loosened.has(table);
      // a sequence goes with the column or table that owns it
      const isProof = isPlain && kind !== 'sequence' && !isGone && !isNamedIn(creation, this.displaced);
      this.made.push({ version, creation, isProof, wanted: { kind, name, schemas, table, argumentTypes } });
    }
  }

  private upToNewest(path: readonly string[]): readonly string[] {
    const made = path.findIndex((schema) => this.schemas.has(schema));
    return made < 0 ? path : path.slice(0, made + 1);
  }

  /** By anything of the run, or after it. */
  isDisplaced(creation: Creation): boolean {
    return isNamedIn(creation, this.displaced) || isNamedIn(creation, this.since);
  }
}

function isNamedIn({ name, table, schema }: Creation, names: ReadonlySet<string>): boolean {
  return [name, table, schema].some((one) => one !== null && names.has(one));
}

function shown({ kind, name, schema, table }: Creation): string {
  const quoted = quotedWhereNeeded(name);
  const within = schema === null ? '' : `${quotedWhereNeeded(schema)}.`;
  if (kind === 'column') return `column ${within}${quotedWhereNeeded(table ?? '')}.${quoted}`;
  if (table !== null && kind !== 'index') return `${kind} ${quoted} on ${within}${quotedWhereNeeded(table)}`;
  return `${kind} ${within}${quoted}`;
}

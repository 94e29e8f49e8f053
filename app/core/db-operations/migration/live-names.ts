import {
  findNamedColumn,
  findNamedRelation,
  type NamedRelation,
  readTakenNames,
} from '../../../database/catalog/named-objects.js';
import type { Queryable } from '../../../database/queryable.js';
import type { WrittenName } from '../../../services/sql-script.js';
import { qualified, quotedWhereNeeded } from '../inspection/find-relation.js';

/** `made`: by an earlier statement, so nothing of now is in it; `gone`: an earlier statement has taken the name away. */
type Present = NamedRelation | 'made' | 'gone';

/** The search_path of a session, as it is written and as schemas that are there. */
export interface SearchPath {
  readonly written: string;
  readonly schemas: readonly string[];
  readonly user: string;
}

/** The search_path with which a migration begins, see `openingStatements`. Executes no operator. */
export async function readSearchPath(db: Queryable): Promise<SearchPath> {
  const { rows } = await db.query<SearchPath>(
    `select pg_catalog.current_setting('search_path') as written, pg_catalog.current_schemas(false)::text[] as schemas,
       session_user::text as "user"`,
  );
  const path = rows[0] ?? { written: 'public', schemas: ['public'], user: '' };
  return path.schemas[0] === 'manage_db' ? { ...path, written: 'public', schemas: ['public'] } : path;
}

/**
 * What the names in a run of statements mean in the database as it is now. The statements are told in their order: what
 * one of them has renamed is found by its new name, what one has made holds nothing yet.
 */
export class LiveNames {
  private names: Promise<ReadonlySet<string>> | undefined;
  private readonly relations = new Map<string, Present>();
  private readonly schemas = new Map<string, string | null>();
  private readonly columns = new Map<string, string | null>();
  private readonly lost = new Set<string>();
  private readonly lostColumns = new Set<string>();
  private path: readonly string[];
  private writtenPath: string;

  constructor(
    private readonly db: Queryable,
    private readonly initial: SearchPath,
  ) {
    this.path = initial.schemas;
    this.writtenPath = initial.written;
  }

  /** As set_config takes it. */
  get searchPath(): string {
    return this.writtenPath;
  }

  /** The schemas in which a name is looked for; `null`: the one that the search_path decides. */
  schemasOf(schema: string | null): readonly string[] {
    return (schema === null ? this.path : [schema]).flatMap((one) => this.liveSchema(one) ?? []);
  }

  /** `null`: as every file has it at its beginning. */
  setPath(schemas: readonly string[] | null): void {
    this.path = schemas?.map((name) => (name === '$user' ? this.initial.user : name)) ?? this.initial.schemas;
    this.writtenPath = schemas?.map((name) => `"${name.replaceAll('"', '""')}"`).join(', ') ?? this.initial.written;
  }

  /** `null`: there is none, or nothing of now is in it. */
  async find(name: WrittenName): Promise<NamedRelation | null> {
    const present = await this.lookUp(name);
    return typeof present === 'string' || present === null || this.lost.has(present.oid) ? null : present;
  }

  async create(name: WrittenName, isTemporary: boolean): Promise<void> {
    const schema = isTemporary ? TEMPORARY : (name.schema ?? this.path[0] ?? 'public');
    if ((await this.find({ schema, name: name.name })) === null) this.relations.set(keyOf(schema, name.name), 'made');
  }

  async rename(name: WrittenName, to: { readonly schema?: string; readonly name?: string }): Promise<void> {
    const place = await this.placeOf(name);
    if (place === null) return;
    this.relations.set(keyOf(place.schema, name.name), 'gone');
    this.relations.set(keyOf(to.schema ?? place.schema, to.name ?? name.name), place.present);
  }

  renameSchema(name: string, to: string): void {
    this.schemas.set(to, this.liveSchema(name));
    this.schemas.set(name, null);
    for (const [key, present] of [...this.relations]) {
      const [schema, relation] = JSON.parse(key) as [string, string];
      if (schema === name) this.relations.set(keyOf(to, relation), present);
    }
  }

  createSchema(name: string): void {
    if (this.schemas.get(name) === null) this.schemas.set(name, null);
  }

  /** It is gone, whatever it is called by now. */
  lose(oid: string): void {
    this.lost.add(oid);
  }

  isLost(oid: string): boolean {
    return this.lost.has(oid);
  }

  /** The name of a column as it is now; `null`: nothing of now is in it. */
  column(relation: string, name: string): string | null {
    return this.columns.get(keyOf(relation, name)) ?? (this.columns.has(keyOf(relation, name)) ? null : name);
  }

  renameColumn(relation: string, name: string, to: string): void {
    const live = this.column(relation, name);
    this.columns.set(keyOf(relation, name), null);
    this.columns.set(keyOf(relation, to), live);
  }

  /** Beside one that is there it would be refused, or skipped. */
  async addColumn(relation: string, name: string): Promise<void> {
    const live = this.column(relation, name);
    if (live !== null && (await findNamedColumn(this.db, relation, live)) !== null) return;
    this.columns.set(keyOf(relation, name), null);
  }

  /** What is called so by now is gone: whatever is called so later holds nothing of now. */
  loseColumn(relation: string, name: string): void {
    const live = this.column(relation, name);
    if (live !== null) this.lostColumns.add(keyOf(relation, live));
    this.columns.set(keyOf(relation, name), null);
  }

  /** A column that is called `live` now is gone, by whatever name. */
  isColumnLost(relation: string, live: string): boolean {
    return this.lostColumns.has(keyOf(relation, live));
  }

  /** As a person on this search_path would write it. */
  shown({ schema, name }: { readonly schema: string; readonly name: string }): string {
    return this.initial.schemas.includes(schema) ? quotedWhereNeeded(name) : qualified({ schema, name });
  }

  private async lookUp(name: WrittenName): Promise<Present | null> {
    return (await this.placeOf(name))?.present ?? null;
  }

  private async placeOf({
    schema,
    name,
  }: WrittenName): Promise<{ readonly schema: string; readonly present: Present } | null> {
    for (const place of schema === null ? [TEMPORARY, ...this.path] : [schema]) {
      const known = this.relations.get(keyOf(place, name));
      if (known === 'gone') continue;
      if (known !== undefined) return { schema: place, present: known };
      const live = this.liveSchema(place);
      const present =
        live === null || !(await this.mayBeThere(live, name)) ? null : await findNamedRelation(this.db, live, name);
      if (present !== null && !this.lost.has(present.oid)) return { schema: place, present };
    }
    return null;
  }

  /** Most names of a migration are of what it makes: those are not asked for one by one. */
  private async mayBeThere(schema: string, name: string): Promise<boolean> {
    this.names ??= readTakenNames(this.db).then(
      (found) => new Set(found.map((relation) => keyOf(relation.schema, relation.name))),
    );
    // the list leaves out what is of the system, and nobody has a schema by the name of the temporary one
    if (schema === TEMPORARY) return false;
    return /^(pg_|information_schema$)/.test(schema) || (await this.names).has(keyOf(schema, name));
  }

  /** What a schema is called now; `null`: it is none of now. */
  private liveSchema(name: string): string | null {
    const known = this.schemas.get(name);
    return known === undefined ? name : known;
  }
}

const TEMPORARY = 'pg_temp';

function keyOf(...parts: readonly string[]): string {
  return JSON.stringify(parts);
}

import type { FactKind, StableId } from '@supabase/pg-delta';
import { qualified, quotedWhereNeeded } from '../inspection/find-relation.js';

/** What pg-delta calls its kinds, in PostgreSQL's words. */
const WORDS: Readonly<Record<FactKind, string>> = {
  schema: 'schema',
  role: 'role',
  extension: 'extension',
  language: 'language',
  eventTrigger: 'event trigger',
  publication: 'publication',
  subscription: 'subscription',
  fdw: 'foreign-data wrapper',
  server: 'server',
  table: 'table',
  view: 'view',
  materializedView: 'materialized view',
  foreignTable: 'foreign table',
  sequence: 'sequence',
  index: 'index',
  collation: 'collation',
  domain: 'domain',
  type: 'type',
  column: 'column',
  constraint: 'constraint',
  trigger: 'trigger',
  rule: 'rule',
  policy: 'policy',
  default: 'default',
  function: 'function',
  procedure: 'procedure',
  aggregate: 'aggregate',
  membership: 'membership',
  userMapping: 'user mapping',
  typeAttribute: 'attribute',
  publicationRel: 'published table',
  publicationSchema: 'published schema',
  comment: 'comment',
  acl: 'grants',
  securityLabel: 'security label',
  defaultPrivilege: 'default privileges',
  extensionIntent: 'extension setting',
};

/** In pg_default_acl, a letter for each kind of object. */
const OBJECTS: Readonly<Record<string, string>> = {
  r: 'tables',
  S: 'sequences',
  f: 'functions',
  T: 'types',
  n: 'schemas',
  L: 'large objects',
};

export function kindOf(id: StableId): string {
  return WORDS[id.kind];
}

/** The kind of pg-delta's that `words` stand for. */
export function factKindOf(words: string): FactKind | undefined {
  return (Object.keys(WORDS) as FactKind[]).find((kind) => WORDS[kind] === words);
}

/** A name to read, quoted as SQL wants it: `clinic.patients.email`, `note_email on clinic.users`, `to reader on table clinic.users`. */
export function nameOf(id: StableId): string {
  switch (id.kind) {
    case 'column':
    case 'default':
      return `${qualified({ schema: id.schema, name: id.table })}.${quotedWhereNeeded(id.name)}`;
    case 'constraint':
    case 'trigger':
    case 'rule':
    case 'policy':
      return `${quotedWhereNeeded(id.name)} on ${qualified({ schema: id.schema, name: id.table })}`;
    case 'function':
    case 'procedure':
    case 'aggregate':
      return `${qualified(id)}(${id.args.join(', ')})`;
    case 'typeAttribute':
      return `${qualified({ schema: id.schema, name: id.type })}.${quotedWhereNeeded(id.name)}`;
    case 'membership':
      return `of ${quotedWhereNeeded(id.member)} in ${quotedWhereNeeded(id.role)}`;
    case 'userMapping':
      return `of ${roleName(id.role)} on ${quotedWhereNeeded(id.server)}`;
    case 'publicationRel':
      return `${qualified({ schema: id.schema, name: id.table })} in ${quotedWhereNeeded(id.publication)}`;
    case 'publicationSchema':
      return `${quotedWhereNeeded(id.schema)} in ${quotedWhereNeeded(id.publication)}`;
    case 'comment':
      return `on ${kindOf(id.target)} ${nameOf(id.target)}`;
    case 'securityLabel':
      return `of ${quotedWhereNeeded(id.provider)} on ${kindOf(id.target)} ${nameOf(id.target)}`;
    case 'acl': {
      const column = id.column === undefined ? '' : `, column ${quotedWhereNeeded(id.column)}`;
      return `to ${roleName(id.grantee)} on ${kindOf(id.target)} ${nameOf(id.target)}${column}`;
    }
    case 'defaultPrivilege': {
      const where = id.schema === null ? '' : ` in ${quotedWhereNeeded(id.schema)}`;
      return `to ${roleName(id.grantee)} on ${OBJECTS[id.objtype] ?? id.objtype} of ${roleName(id.role)}${where}`;
    }
    case 'extensionIntent':
      return `${id.intentKind} ${id.key} of ${quotedWhereNeeded(id.ext)}`;
    default:
      return 'schema' in id ? qualified(id) : quotedWhereNeeded(id.name);
  }
}

/** The schema that it is in; `null` where it is in none. */
export function schemaOf(id: StableId): string | null {
  if ('target' in id) return schemaOf(id.target);
  if (id.kind === 'schema') return id.name;
  return 'schema' in id ? id.schema : null;
}

function roleName(role: string): string {
  return role === 'PUBLIC' ? 'public' : quotedWhereNeeded(role);
}

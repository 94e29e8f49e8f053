import type { FunctionParameter, Node, ObjectType, ObjectWithArgs, RangeVar } from 'libpg-query';
import { type NodeReaders, readNode, textsOf } from './parse-tree.js';
import { objectWords } from './statement-kind.js';
import { typeName } from './type-name.js';

/** What a statement creates, changes or drops. Names are as the catalog spells them: case kept, no quotes. */
export type SqlObject = SqlRoutine | SqlPartOfTable | SqlNamedObject;

export interface SqlRoutine {
  readonly type: 'routine';
  readonly kind: 'function' | 'procedure' | 'routine' | 'aggregate';
  /** `null` when the search_path decides. */
  readonly schema: string | null;
  readonly name: string;
  /** Of the arguments that are passed in, as PostgreSQL prints types; `null` when none are written. */
  readonly argumentTypes: readonly string[] | null;
  /** What a function that is created returns, `null` for all else. */
  readonly returns: string | null;
}

export interface SqlPartOfTable {
  readonly type: 'part of table';
  readonly kind: 'trigger' | 'policy' | 'rule' | 'constraint' | 'column';
  readonly name: string;
  readonly table: { readonly schema: string | null; readonly name: string };
}

export interface SqlNamedObject {
  readonly type: 'named';
  /** In PostgreSQL's words: `table`, `materialized view`, `schema`, `extension` … */
  readonly kind: string;
  readonly schema: string | null;
  readonly name: string;
}

/**
 * What the statement creates, changes or drops by name. Not what it does by the way: an index without a name, what a DO
 * block or a function executes, what CASCADE takes along.
 */
export function statementObjects(node: Node): readonly SqlObject[] {
  return readNode(node, OBJECTS) ?? [];
}

const OBJECTS: NodeReaders<readonly SqlObject[]> = {
  CreateStmt: ({ relation }) => relationObject('table', relation),
  CreateForeignTableStmt: ({ base }) => relationObject('foreign table', base?.relation),
  CreateTableAsStmt: ({ into, objtype }) => relationObject(objectWords(objtype), into?.rel),
  SelectStmt: ({ intoClause }) => relationObject('table', intoClause?.rel),
  ViewStmt: ({ view }) => relationObject('view', view),
  CreateSeqStmt: ({ sequence }) => relationObject('sequence', sequence),
  AlterSeqStmt: ({ sequence }) => relationObject('sequence', sequence),
  // an index lives in the schema of its table
  IndexStmt: ({ idxname, relation }) =>
    idxname === undefined ? [] : [named('index', idxname, relation?.schemaname ?? null)],
  CreateTrigStmt: ({ trigname, relation }) => partOfTable('trigger', relation, trigname),
  CreatePolicyStmt: ({ policy_name, table }) => partOfTable('policy', table, policy_name),
  AlterPolicyStmt: ({ policy_name, table }) => partOfTable('policy', table, policy_name),
  RuleStmt: ({ rulename, relation }) => partOfTable('rule', relation, rulename),
  CreateFunctionStmt: ({ funcname, parameters, returnType, is_procedure }) => [
    {
      type: 'routine',
      kind: is_procedure ? 'procedure' : 'function',
      ...qualified(textsOf(funcname)),
      argumentTypes: argumentTypes(parameters),
      returns: returnType === undefined ? null : typeName(returnType),
    },
  ],
  AlterFunctionStmt: ({ objtype, func }) => (func === undefined ? [] : objectOf(objtype, { ObjectWithArgs: func })),
  DefineStmt: ({ kind, defnames }) => objectOf(kind, listOf(defnames)),
  CompositeTypeStmt: ({ typevar }) => relationObject('type', typevar),
  CreateEnumStmt: ({ typeName: name }) => objectOf('OBJECT_TYPE', listOf(name)),
  CreateRangeStmt: ({ typeName: name }) => objectOf('OBJECT_TYPE', listOf(name)),
  AlterEnumStmt: ({ typeName: name }) => objectOf('OBJECT_TYPE', listOf(name)),
  CreateDomainStmt: ({ domainname }) => objectOf('OBJECT_DOMAIN', listOf(domainname)),
  AlterDomainStmt: ({ typeName: name }) => objectOf('OBJECT_DOMAIN', listOf(name)),
  CreateStatsStmt: ({ defnames }) => objectOf('OBJECT_STATISTIC_EXT', listOf(defnames)),
  CreateSchemaStmt: ({ schemaname, schemaElts = [] }) => [
    ...unqualified('schema', schemaname),
    ...schemaElts.flatMap(statementObjects).map((object) => inSchema(object, schemaname ?? null)),
  ],
  CreateExtensionStmt: ({ extname }) => unqualified('extension', extname),
  AlterExtensionStmt: ({ extname }) => unqualified('extension', extname),
  CreateEventTrigStmt: ({ trigname }) => unqualified('event trigger', trigname),
  AlterEventTrigStmt: ({ trigname }) => unqualified('event trigger', trigname),
  CreatePublicationStmt: ({ pubname }) => unqualified('publication', pubname),
  AlterPublicationStmt: ({ pubname }) => unqualified('publication', pubname),
  CreateSubscriptionStmt: ({ subname }) => unqualified('subscription', subname),
  AlterSubscriptionStmt: ({ subname }) => unqualified('subscription', subname),
  DropSubscriptionStmt: ({ subname }) => unqualified('subscription', subname),
  CreateRoleStmt: ({ role }) => unqualified('role', role),
  AlterRoleStmt: ({ role }) => unqualified('role', role?.rolename),
  AlterRoleSetStmt: ({ role }) => unqualified('role', role?.rolename),
  DropRoleStmt: ({ roles = [] }) =>
    roles.flatMap((role) => ('RoleSpec' in role ? unqualified('role', role.RoleSpec.rolename) : [])),
  CreatedbStmt: ({ dbname }) => unqualified('database', dbname),
  AlterDatabaseStmt: ({ dbname }) => unqualified('database', dbname),
  AlterDatabaseSetStmt: ({ dbname }) => unqualified('database', dbname),
  DropdbStmt: ({ dbname }) => unqualified('database', dbname),
  AlterTableStmt: ({ objtype, relation }) => relationObject(objectWords(objtype), relation),
  RenameStmt: ({ renameType, relationType, relation, object, subname }) => {
    if (relation === undefined)
      return object === undefined ? unqualified(objectWords(renameType), subname) : objectOf(renameType, object);
    const part = partKind(renameType);
    return part === null || part === 'column' || part === 'constraint'
      ? relationObject(objectWords(part === null ? renameType : relationType), relation)
      : partOfTable(part, relation, subname);
  },
  AlterOwnerStmt: ({ objectType, object, relation }) => objectOrRelation(objectType, object, relation),
  AlterObjectSchemaStmt: ({ objectType, object, relation }) => objectOrRelation(objectType, object, relation),
  DropStmt: ({ removeType, objects = [] }) => objects.flatMap((object) => objectOf(removeType, object)),
  CommentStmt: ({ objtype, object }) => (object === undefined ? [] : objectOf(objtype, object)),
  SecLabelStmt: ({ objtype, object }) => (object === undefined ? [] : objectOf(objtype, object)),
  GrantStmt: ({ targtype, objtype, objects = [] }) =>
    targtype === 'ACL_TARGET_OBJECT' ? objects.flatMap((object) => objectOf(objtype, object)) : [],
  InsertStmt: ({ relation }) => relationObject('table', relation),
  UpdateStmt: ({ relation }) => relationObject('table', relation),
  DeleteStmt: ({ relation }) => relationObject('table', relation),
  MergeStmt: ({ relation }) => relationObject('table', relation),
  CopyStmt: ({ is_from, relation }) => (is_from ? relationObject('table', relation) : []),
  TruncateStmt: ({ relations = [] }) => relations.flatMap((relation) => objectOf('OBJECT_TABLE', relation)),
  RefreshMatViewStmt: ({ relation }) => relationObject('materialized view', relation),
};

/** The grammar gives a name as a list, a string, a relation, a type or a signature, whichever the kind of object has. */
function objectOf(type: ObjectType | undefined, node: Node): readonly SqlObject[] {
  const kind = objectWords(type);
  return (
    readNode<readonly SqlObject[]>(node, {
      RangeVar: (relation) => relationObject(kind, relation),
      ObjectWithArgs: (signature) => [routineOf(kind, signature)],
      TypeName: ({ names }) => nameParts(kind, textsOf(names)),
      String: ({ sval }) => unqualified(kind, sval),
      List: ({ items }) => {
        const parts = textsOf(items);
        const part = partKind(type);
        if (part === null) return nameParts(kind, parts);
        return parts.length < 2
          ? []
          : [{ type: 'part of table', kind: part, name: parts.at(-1) ?? '', table: qualified(parts.slice(0, -1)) }];
      },
    }) ?? []
  );
}

function objectOrRelation(type: ObjectType | undefined, object: Node | undefined, relation: RangeVar | undefined) {
  return object === undefined ? relationObject(objectWords(type), relation) : objectOf(type, object);
}

function routineOf(kind: string, { objname, objargs, args_unspecified }: ObjectWithArgs): SqlObject {
  const name = qualified(textsOf(objname));
  if (kind !== 'function' && kind !== 'procedure' && kind !== 'routine' && kind !== 'aggregate') {
    return { type: 'named', kind, ...name };
  }
  const types = (objargs ?? []).flatMap((type) => ('TypeName' in type ? [typeName(type.TypeName)] : []));
  return { type: 'routine', kind, ...name, argumentTypes: args_unspecified ? null : types, returns: null };
}

function argumentTypes(parameters: readonly Node[] = []): string[] {
  return parameters
    .flatMap((parameter) => ('FunctionParameter' in parameter ? [parameter.FunctionParameter] : []))
    .filter(isPassedIn)
    .map(({ argType }) => (argType === undefined ? '' : typeName(argType)));
}

function isPassedIn({ mode }: FunctionParameter): boolean {
  return mode !== 'FUNC_PARAM_OUT' && mode !== 'FUNC_PARAM_TABLE';
}

function partKind(type: ObjectType | undefined): SqlPartOfTable['kind'] | null {
  switch (type) {
    case 'OBJECT_TRIGGER':
      return 'trigger';
    case 'OBJECT_POLICY':
      return 'policy';
    case 'OBJECT_RULE':
      return 'rule';
    case 'OBJECT_TABCONSTRAINT':
      return 'constraint';
    case 'OBJECT_COLUMN':
      return 'column';
    default:
      return null;
  }
}

function relationObject(kind: string, relation: RangeVar | undefined): SqlObject[] {
  return relation?.relname === undefined ? [] : [named(kind, relation.relname, relation.schemaname ?? null)];
}

function partOfTable(
  kind: SqlPartOfTable['kind'],
  relation: RangeVar | undefined,
  name: string | undefined,
): SqlObject[] {
  if (relation?.relname === undefined || name === undefined) return [];
  return [
    { type: 'part of table', kind, name, table: { schema: relation.schemaname ?? null, name: relation.relname } },
  ];
}

/** For kinds of objects that are in no schema. */
function unqualified(kind: string, name: string | undefined): SqlObject[] {
  return name === undefined ? [] : [named(kind, name, null)];
}

function nameParts(kind: string, parts: readonly string[]): SqlObject[] {
  return parts.length === 0 ? [] : [{ type: 'named', kind, ...qualified(parts) }];
}

function named(kind: string, name: string, schema: string | null): SqlNamedObject {
  return { type: 'named', kind, schema, name };
}

function qualified(parts: readonly string[]): { schema: string | null; name: string } {
  return { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? '' };
}

/** CREATE SCHEMA takes statements along, and what they create without a schema is created in it. */
function inSchema(object: SqlObject, schema: string | null): SqlObject {
  if (object.type !== 'part of table') return { ...object, schema: object.schema ?? schema };
  return { ...object, table: { ...object.table, schema: object.table.schema ?? schema } };
}

function listOf(items: Node[] | undefined): Node {
  return { List: items === undefined ? {} : { items } };
}

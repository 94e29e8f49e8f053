import type { AlterTableCmd, Constraint, Node, ObjectType, RangeVar } from 'libpg-query';
import { isOn, type NodeReaders, readNode, textsOf, walkTree } from './parse-tree.js';
import { objectWords } from './statement-kind.js';

/** PostgreSQL's names for its lock modes, as LOCK TABLE has them, from the weakest to the strongest. */
export const LOCK_MODES = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
] as const;
export type LockMode = (typeof LOCK_MODES)[number];

/** A relation that a statement names, as the catalog spells it. */
export interface NamedRelation {
  /** `null` when the search_path decides. */
  readonly schema: string | null;
  readonly name: string;
}

export interface StatementLock extends NamedRelation {
  /** `table`, `index`, `materialized view`, `view`, `sequence` … */
  readonly kind: string;
  readonly mode: LockMode;
}

/**
 * The locks that a statement takes on the relations that it names, the strongest of each. Not on what only the catalog
 * knows of: the table of an index, the other end of a foreign key that is dropped or checked, what CASCADE takes along.
 * What the statement itself creates is not listed: nobody else sees that yet.
 *
 * @example statementLocks(node) // of CREATE INDEX i ON t (x): [{ kind: 'table', schema: null, name: 't', mode: 'SHARE' }]
 */
export function statementLocks(node: Node): readonly StatementLock[] {
  const strongest = new Map<string, StatementLock>();
  for (const lock of readNode(node, LOCKS) ?? []) {
    const key = JSON.stringify([lock.schema, lock.name]);
    const other = strongest.get(key);
    if (other === undefined || rankOf(lock.mode) > rankOf(other.mode)) strongest.set(key, lock);
  }
  return [...strongest.values()];
}

export function rankOf(mode: LockMode): number {
  return LOCK_MODES.indexOf(mode);
}

const LOCKS: NodeReaders<readonly StatementLock[]> = {
  SelectStmt: (body) => [
    ...reads({ SelectStmt: body }),
    ...(body.lockingClause === undefined
      ? []
      : (body.fromClause ?? []).flatMap((from) => rangeLocks(from, 'ROW SHARE'))),
  ],
  InsertStmt: (body) => reads({ InsertStmt: body }),
  UpdateStmt: (body) => reads({ UpdateStmt: body }),
  DeleteStmt: (body) => reads({ DeleteStmt: body }),
  MergeStmt: (body) => reads({ MergeStmt: body }),
  CopyStmt: ({ relation, query, is_from }) => [
    ...lock(relation, is_from ? 'ROW EXCLUSIVE' : 'ACCESS SHARE'),
    ...(query === undefined ? [] : reads(query)),
  ],
  TruncateStmt: ({ relations = [] }) => relations.flatMap((one) => rangeLocks(one, 'ACCESS EXCLUSIVE')),
  LockStmt: ({ relations = [], mode = 8 }) =>
    relations.flatMap((one) => rangeLocks(one, LOCK_MODES[mode - 1] ?? 'ACCESS EXCLUSIVE')),

  CreateStmt: ({ inhRelations = [], partbound, tableElts = [], constraints = [] }) => [
    ...inhRelations.flatMap((one) =>
      rangeLocks(one, partbound === undefined ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE'),
    ),
    ...[...tableElts, ...constraints].flatMap(elementLocks),
  ],
  CreateTableAsStmt: ({ query }) => (query === undefined ? [] : reads(query)),
  ViewStmt: ({ view, query, replace }) => [
    ...(query === undefined ? [] : reads(query)),
    ...(replace ? lock(view, 'ACCESS EXCLUSIVE', 'view') : []),
  ],
  RefreshMatViewStmt: ({ relation, concurrent }) =>
    lock(relation, concurrent ? 'EXCLUSIVE' : 'ACCESS EXCLUSIVE', 'materialized view'),

  IndexStmt: ({ relation, concurrent }) => lock(relation, concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE'),
  ReindexStmt: ({ kind, relation, params }) => {
    const isConcurrent = isOn(params, 'concurrently');
    if (kind === 'REINDEX_OBJECT_INDEX')
      return lock(relation, isConcurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE', 'index');
    return lock(relation, isConcurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE');
  },
  ClusterStmt: ({ relation }) => lock(relation, 'ACCESS EXCLUSIVE'),
  VacuumStmt: ({ rels = [], options, is_vacuumcmd }) =>
    rels.flatMap((one) =>
      'VacuumRelation' in one
        ? lock(
            one.VacuumRelation.relation,
            is_vacuumcmd && isOn(options, 'full') ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE',
          )
        : [],
    ),

  CreateTrigStmt: ({ relation, constrrel }) => [
    ...lock(relation, 'SHARE ROW EXCLUSIVE'),
    ...lock(constrrel, 'ACCESS SHARE'),
  ],
  RuleStmt: ({ relation }) => lock(relation, 'ACCESS EXCLUSIVE'),
  CreatePolicyStmt: ({ table }) => lock(table, 'ACCESS EXCLUSIVE'),
  AlterPolicyStmt: ({ table }) => lock(table, 'ACCESS EXCLUSIVE'),
  CreateStatsStmt: ({ relations = [] }) => relations.flatMap((one) => rangeLocks(one, 'SHARE UPDATE EXCLUSIVE')),
  CommentStmt: ({ objtype, object }) => describedLocks(objtype, object),
  SecLabelStmt: ({ objtype, object }) => describedLocks(objtype, object),
  CreatePublicationStmt: ({ pubobjects }) => publishedLocks(pubobjects),
  AlterPublicationStmt: ({ pubobjects }) => publishedLocks(pubobjects),

  AlterTableStmt: ({ relation, objtype, cmds = [] }) => {
    const kind = objectWords(objtype);
    const commands = cmds.flatMap((command) => ('AlterTableCmd' in command ? [command.AlterTableCmd] : []));
    return commands.flatMap((command) => [...lock(relation, commandMode(command), kind), ...otherEnds(command)]);
  },
  AlterSeqStmt: ({ sequence }) => lock(sequence, 'SHARE ROW EXCLUSIVE', 'sequence'),
  RenameStmt: ({ renameType, relationType, relation }) =>
    lock(
      relation,
      renameType === 'OBJECT_INDEX' ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE',
      relationKind(renameType) ?? relationKind(relationType) ?? 'table',
    ),
  AlterObjectSchemaStmt: ({ objectType, relation }) =>
    lock(relation, 'ACCESS EXCLUSIVE', relationKind(objectType) ?? 'table'),
  DropStmt: ({ removeType, objects = [], concurrent }) =>
    objects.flatMap((object) => droppedLocks(removeType, object, concurrent === true)),
};

/** AlterTableGetLockLevel of PostgreSQL 14 to 18. */
function commandMode({ subtype, def }: AlterTableCmd): LockMode {
  switch (subtype) {
    case 'AT_SetStatistics':
    case 'AT_SetOptions':
    case 'AT_ResetOptions':
    case 'AT_ClusterOn':
    case 'AT_DropCluster':
    case 'AT_ValidateConstraint':
    case 'AT_AttachPartition':
      return 'SHARE UPDATE EXCLUSIVE';
    case 'AT_DetachPartition':
      return def !== undefined && 'PartitionCmd' in def && def.PartitionCmd.concurrent === true
        ? 'SHARE UPDATE EXCLUSIVE'
        : 'ACCESS EXCLUSIVE';
    case 'AT_DetachPartitionFinalize':
      return 'SHARE UPDATE EXCLUSIVE';
    case 'AT_SetRelOptions':
    case 'AT_ResetRelOptions':
      return 'SHARE UPDATE EXCLUSIVE';
    case 'AT_EnableTrig':
    case 'AT_EnableAlwaysTrig':
    case 'AT_EnableReplicaTrig':
    case 'AT_EnableTrigAll':
    case 'AT_EnableTrigUser':
    case 'AT_DisableTrig':
    case 'AT_DisableTrigAll':
    case 'AT_DisableTrigUser':
      return 'SHARE ROW EXCLUSIVE';
    case 'AT_AddConstraint':
      return constraintOf(def)?.contype === 'CONSTR_FOREIGN' ? 'SHARE ROW EXCLUSIVE' : 'ACCESS EXCLUSIVE';
    default:
      return 'ACCESS EXCLUSIVE';
  }
}

/** The other tables that a command of ALTER TABLE names. */
function otherEnds({ subtype, def }: AlterTableCmd): StatementLock[] {
  if (def === undefined) return [];
  if (subtype === 'AT_AddInherit') return rangeLocks(def, 'SHARE UPDATE EXCLUSIVE');
  if (subtype === 'AT_DropInherit') return rangeLocks(def, 'ACCESS SHARE');
  if ('PartitionCmd' in def) {
    const { name, concurrent } = def.PartitionCmd;
    return lock(name, concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE');
  }
  return elementLocks(def);
}

/** Of a column or a constraint of a table: foreign keys lock the other table too. LIKE reads one. */
function elementLocks(element: Node): StatementLock[] {
  return (
    readNode<StatementLock[]>(element, {
      ColumnDef: ({ constraints = [] }) => constraints.flatMap(elementLocks),
      Constraint: ({ contype, pktable }) => (contype === 'CONSTR_FOREIGN' ? lock(pktable, 'SHARE ROW EXCLUSIVE') : []),
      TableLikeClause: ({ relation }) => lock(relation, 'ACCESS SHARE'),
    }) ?? []
  );
}

export function constraintOf(def: Node | undefined): Constraint | null {
  return def !== undefined && 'Constraint' in def ? def.Constraint : null;
}

function droppedLocks(type: ObjectType | undefined, object: Node, isConcurrent: boolean): StatementLock[] {
  if (!('List' in object)) return [];
  const parts = textsOf(object.List.items);
  const kind = relationKind(type);
  if (kind !== null) return named(kind, parts, isConcurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE');
  if (isPartOfTable(type)) return named('table', parts.slice(0, -1), 'ACCESS EXCLUSIVE');
  return [];
}

/** COMMENT ON and SECURITY LABEL. */
function describedLocks(type: ObjectType | undefined, object: Node | undefined): StatementLock[] {
  if (object === undefined || !('List' in object)) return [];
  const parts = textsOf(object.List.items);
  const kind = relationKind(type);
  if (kind !== null) return named(kind, parts, 'SHARE UPDATE EXCLUSIVE');
  if (type === 'OBJECT_COLUMN') return named('table', parts.slice(0, -1), 'SHARE UPDATE EXCLUSIVE');
  return isPartOfTable(type) ? named('table', parts.slice(0, -1), 'ACCESS SHARE') : [];
}

function publishedLocks(objects: readonly Node[] = []): StatementLock[] {
  return objects.flatMap((object) =>
    'PublicationObjSpec' in object ? lock(object.PublicationObjSpec.pubtable?.relation, 'SHARE UPDATE EXCLUSIVE') : [],
  );
}

function relationKind(type: ObjectType | undefined): string | null {
  switch (type) {
    case 'OBJECT_TABLE':
    case 'OBJECT_INDEX':
    case 'OBJECT_VIEW':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_SEQUENCE':
    case 'OBJECT_FOREIGN_TABLE':
      return objectWords(type);
    default:
      return null;
  }
}

function isPartOfTable(type: ObjectType | undefined): boolean {
  return ['OBJECT_TRIGGER', 'OBJECT_RULE', 'OBJECT_POLICY', 'OBJECT_TABCONSTRAINT'].includes(type ?? '');
}

/** Every relation anywhere in a query, but not the names of its WITH; what a WITH changes counts as changed. */
function reads(query: Node): StatementLock[] {
  const read: RangeVar[] = [];
  const changed: RangeVar[] = [];
  const names = new Set<string>();
  walkTree(query, (name, body) => {
    // the grammar wraps a relation of FROM, and not the target of a statement
    if (name === 'RangeVar') read.push(body);
    else if (name === 'CommonTableExpr' && 'ctename' in body) names.add(String(body.ctename));
    else if (CHANGING.has(name) && 'relation' in body && body.relation instanceof Object) changed.push(body.relation);
  });
  const isWith = ({ schemaname, relname }: RangeVar) => schemaname === undefined && names.has(relname ?? '');
  return [
    ...read.filter((one) => !isWith(one)).flatMap((one) => lock(one, 'ACCESS SHARE')),
    ...changed.flatMap((one) => lock(one, 'ROW EXCLUSIVE')),
  ];
}

const CHANGING: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);

function rangeLocks(node: Node, mode: LockMode): StatementLock[] {
  return 'RangeVar' in node ? lock(node.RangeVar, mode) : [];
}

function lock(relation: RangeVar | undefined, mode: LockMode, kind = 'table'): StatementLock[] {
  return relation?.relname === undefined
    ? []
    : [{ kind, schema: relation.schemaname ?? null, name: relation.relname, mode }];
}

function named(kind: string, parts: readonly string[], mode: LockMode): StatementLock[] {
  const name = parts.at(-1);
  return name === undefined ? [] : [{ kind, schema: parts.at(-2) ?? null, name, mode }];
}

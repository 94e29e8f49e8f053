import type { AlterTableCmd, Node, RangeVar, TypeName } from 'libpg-query';
import { parseStatementTrees } from './parse-script.js';
import { type NodeReaders, readNode, textsOf } from './parse-tree.js';
import type { SqlSource } from './source.js';
import { readStatementEffects, type StatementEffect, type WrittenName } from './statement-effects.js';
import { objectWords } from './statement-kind.js';
import { statementObjects } from './statement-objects.js';

/** What a statement makes, as far as the catalog can be asked for it by name. */
export interface Creation {
  readonly kind: CreationKind;
  readonly name: string;
  /** Where it is made; of what belongs to a table, where that is. `null`: the search_path decides, or it has none. */
  readonly schema: string | null;
  /** Of an index, a column, a constraint, a trigger, a policy or a rule. */
  readonly table: string | null;
  /** Of a routine, by pg_type.typname; `null` where they cannot be told. */
  readonly argumentTypes: readonly string[] | null;
  /** Without IF NOT EXISTS and OR REPLACE: it fails where there is one. */
  readonly isPlain: boolean;
}

export type CreationKind =
  | 'table'
  | 'foreign table'
  | 'view'
  | 'materialized view'
  | 'sequence'
  | 'index'
  | 'type'
  | 'schema'
  | 'extension'
  | 'function'
  | 'procedure'
  | 'column'
  | 'constraint'
  | 'trigger'
  | 'policy'
  | 'rule';

/** What one statement does to the names in a database. */
export interface CreatingStatement {
  readonly creations: readonly Creation[];
  /** What it drops, renames and moves, by its bare name, whichever kind it is of. */
  readonly displaced: readonly string[];
  /** Tables whose indexes and constraints may be gone with a column. */
  readonly loosened: readonly string[];
  /** Where names without a schema are made from now on; `null`: where the session has begun, `undefined`: as before. */
  readonly searchPath: readonly string[] | null | undefined;
  /** Names of functions that it calls: what they do is not to be seen here. */
  readonly calls: readonly string[];
  /** It may drop or rename anything: CASCADE, DROP OWNED, a DO block, a changed search_path that is no text. */
  readonly isUnforeseen: boolean;
}

/** What each statement of `source` makes and takes away; `null` for a text that the parser cannot read. */
export async function readCreations(source: SqlSource): Promise<readonly CreatingStatement[] | null> {
  const statements = await parseStatementTrees(source).catch(() => null);
  if (statements === null) return null;
  const all: CreatingStatement[] = [];
  for (const { node, ...place } of statements) {
    const effects = await readStatementEffects({ ...place, node, byte: 0 });
    const path = effects.find((effect) => effect.type === 'search path');
    all.push({
      creations: readNode(node, CREATIONS) ?? [],
      displaced: [...effects.flatMap(displacedBy), ...renamedNames(node)],
      loosened: effects.flatMap((effect) => (effect.type === 'drop column' ? [effect.table.name] : [])),
      searchPath: path?.schemas,
      calls: effects.flatMap((effect) => (effect.type === 'call' ? effect.functions : [])),
      isUnforeseen: effects.some(isUnforeseen),
    });
  }
  return all;
}

function displacedBy(effect: StatementEffect): readonly string[] {
  switch (effect.type) {
    case 'drop':
      return [effect.name.name];
    case 'drop column':
      return [effect.name];
    case 'rename relation':
    case 'move relation':
      return [effect.name.name, effect.to];
    case 'rename column':
      return [effect.name, effect.to];
    // it hides another one of its name
    case 'create relation':
      return effect.isTemporary ? [effect.name.name] : [];
    default:
      return [];
  }
}

/** Types, functions, constraints and what else has no rows. */
function renamedNames(node: Node): readonly string[] {
  const names = () =>
    statementObjects(node).flatMap((object) => (object.type === 'part of table' ? [] : [object.name]));
  return (
    readNode<readonly string[]>(node, {
      RenameStmt: ({ renameType, subname = '', newname = '' }) =>
        ['OBJECT_COLUMN', 'OBJECT_TABCONSTRAINT'].includes(renameType ?? '')
          ? [subname, newname]
          : [...names(), subname, newname],
      AlterObjectSchemaStmt: names,
      AlterTableStmt: ({ cmds = [] }) =>
        cmds.flatMap((command) =>
          'AlterTableCmd' in command && command.AlterTableCmd.subtype === 'AT_DropConstraint'
            ? [command.AlterTableCmd.name ?? '']
            : [],
        ),
    }) ?? []
  );
}

function isUnforeseen(effect: StatementEffect): boolean {
  switch (effect.type) {
    case 'drop':
    case 'drop column':
      return effect.isCascade;
    case 'call':
      return effect.functions.includes('set_config');
    case 'rename schema':
    case 'drop owned':
    case 'unforeseen':
      return true;
    default:
      return false;
  }
}

const CREATIONS: NodeReaders<readonly Creation[]> = {
  CreateStmt: ({ relation, if_not_exists, tableElts = [] }) => {
    const table = ofRelation('table', relation, if_not_exists);
    // that there is a table of this name says little: it is the same one when it has the same columns
    const columns = tableElts.flatMap((element) =>
      table.length > 0 && 'ColumnDef' in element
        ? ofTable('column', element.ColumnDef.colname, relation, { isPlain: false })
        : [],
    );
    return [...table, ...columns];
  },
  CreateForeignTableStmt: ({ base }) => ofRelation('foreign table', base?.relation, base?.if_not_exists),
  CreateTableAsStmt: ({ into, objtype, if_not_exists }) =>
    ofRelation(objtype === 'OBJECT_MATVIEW' ? 'materialized view' : 'table', into?.rel, if_not_exists),
  SelectStmt: ({ intoClause }) => ofRelation('table', intoClause?.rel, false),
  ViewStmt: ({ view, replace }) => ofRelation('view', view, replace),
  CreateSeqStmt: ({ sequence, if_not_exists }) => ofRelation('sequence', sequence, if_not_exists),
  IndexStmt: ({ idxname, relation, if_not_exists }) =>
    ofTable('index', idxname, relation, { isPlain: if_not_exists !== true }),
  CreateSchemaStmt: ({ schemaname, if_not_exists }) => alone('schema', schemaname, if_not_exists),
  CreateExtensionStmt: ({ extname, if_not_exists }) => alone('extension', extname, if_not_exists),
  CompositeTypeStmt: ({ typevar }) => ofRelation('type', typevar, false),
  CreateEnumStmt: ({ typeName }) => ofName('type', textsOf(typeName)),
  CreateRangeStmt: ({ typeName }) => ofName('type', textsOf(typeName)),
  CreateDomainStmt: ({ domainname }) => ofName('type', textsOf(domainname)),
  DefineStmt: ({ kind, defnames }) => (objectWords(kind) === 'type' ? ofName('type', textsOf(defnames)) : []),
  CreateFunctionStmt: ({ funcname, parameters = [], is_procedure, replace }) =>
    ofName(is_procedure ? 'procedure' : 'function', textsOf(funcname)).map((routine) => ({
      ...routine,
      argumentTypes: argumentTypesOf(parameters),
      isPlain: replace !== true,
    })),
  CreateTrigStmt: ({ trigname, relation, replace }) =>
    ofTable('trigger', trigname, relation, { isPlain: replace !== true }),
  CreatePolicyStmt: ({ policy_name, table }) => ofTable('policy', policy_name, table, { isPlain: true }),
  RuleStmt: ({ rulename, relation, replace }) => ofTable('rule', rulename, relation, { isPlain: replace !== true }),
  AlterTableStmt: ({ relation, cmds = [] }) =>
    cmds.flatMap((command) => ('AlterTableCmd' in command ? addedBy(command.AlterTableCmd, relation) : [])),
};

function addedBy({ subtype, def, missing_ok }: AlterTableCmd, relation: RangeVar | undefined): readonly Creation[] {
  if (def === undefined) return [];
  if (subtype === 'AT_AddColumn' && 'ColumnDef' in def)
    return ofTable('column', def.ColumnDef.colname, relation, { isPlain: missing_ok !== true });
  if (subtype === 'AT_AddConstraint' && 'Constraint' in def)
    return ofTable('constraint', def.Constraint.conname, relation, { isPlain: true });
  return [];
}

function ofRelation(kind: CreationKind, relation: RangeVar | undefined, isTolerant: boolean | undefined): Creation[] {
  if (relation?.relname === undefined || relation.relpersistence === 't') return [];
  const { relname: name, schemaname: schema = null } = relation;
  return [{ kind, name, schema, table: null, argumentTypes: null, isPlain: isTolerant !== true }];
}

function ofTable(
  kind: CreationKind,
  name: string | undefined,
  relation: RangeVar | undefined,
  { isPlain }: Pick<Creation, 'isPlain'>,
): Creation[] {
  if (name === undefined || relation?.relname === undefined) return [];
  const { relname: table, schemaname: schema = null } = relation;
  return [{ kind, name, schema, table, argumentTypes: null, isPlain }];
}

function ofName(kind: CreationKind, parts: readonly string[]): Creation[] {
  const name: WrittenName = { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? '' };
  return [{ kind, ...name, table: null, argumentTypes: null, isPlain: true }];
}

function alone(kind: CreationKind, name: string | undefined, isTolerant: boolean | undefined): Creation[] {
  return name === undefined
    ? []
    : [{ kind, name, schema: null, table: null, argumentTypes: null, isPlain: isTolerant !== true }];
}

function argumentTypesOf(parameters: readonly Node[]): readonly string[] | null {
  const types = parameters.flatMap((parameter): (TypeName | undefined)[] => {
    if (!('FunctionParameter' in parameter)) return [];
    const { mode, argType } = parameter.FunctionParameter;
    return mode === 'FUNC_PARAM_OUT' || mode === 'FUNC_PARAM_TABLE' ? [] : [argType];
  });
  const names = types.map((type) => (type === undefined || type.pct_type ? null : internalName(type)));
  return names.every((name) => name !== null) ? names : null;
}

/** `integer[]` is `_int4`. */
function internalName({ names, arrayBounds = [] }: TypeName): string {
  return `${arrayBounds.length > 0 ? '_' : ''}${textsOf(names).at(-1) ?? ''}`;
}

import type { AlterTableCmd, AlterTableStmt, DropStmt, Node, RangeVar, RenameStmt } from 'libpg-query';
import { castType, regtypeText, typeWords } from './cast-type.js';
import { type ChosenRows, chosenRows } from './chosen-rows.js';
import { conversionText } from './conversion-text.js';
import { type NodeReaders, readNode, tagOf, textsOf } from './parse-tree.js';
import type { Place } from './place.js';
import type { SqlSource } from './source.js';
import { objectWords } from './statement-kind.js';
import { readStatementNodes, type StatementNode } from './statement-nodes.js';

/** `schema` is `null` where the search_path decides. */
export interface WrittenName {
  readonly schema: string | null;
  readonly name: string;
}

/** What a statement takes away, or does to names, so that what is taken away later can be found. */
export type StatementEffect =
  | { readonly type: 'search path'; readonly schemas: readonly string[] | null }
  | { readonly type: 'create relation'; readonly name: WrittenName; readonly isTemporary: boolean }
  | { readonly type: 'create schema'; readonly name: string }
  | { readonly type: 'rename relation'; readonly name: WrittenName; readonly to: string }
  | { readonly type: 'rename schema'; readonly name: string; readonly to: string }
  | { readonly type: 'move relation'; readonly name: WrittenName; readonly to: string }
  | { readonly type: 'rename column'; readonly table: WrittenName; readonly name: string; readonly to: string }
  | { readonly type: 'add column'; readonly table: WrittenName; readonly name: string }
  | {
      readonly type: 'drop';
      readonly kind: string;
      readonly name: WrittenName;
      readonly isCascade: boolean;
      readonly argumentTypes: readonly string[] | null;
      /** Of a trigger, policy or rule. */
      readonly table: WrittenName | null;
    }
  | { readonly type: 'drop database'; readonly name: string }
  | { readonly type: 'drop owned'; readonly roles: readonly string[] }
  | { readonly type: 'drop column'; readonly table: WrittenName; readonly name: string; readonly isCascade: boolean }
  | ConvertedColumn
  | {
      readonly type: 'delete';
      readonly table: WrittenName;
      readonly rows: ChosenRows | null;
      readonly functions: readonly string[];
    }
  | {
      readonly type: 'update';
      readonly table: WrittenName;
      readonly columns: readonly string[];
      readonly rows: ChosenRows | null;
      readonly functions: readonly string[];
    }
  | { readonly type: 'merge'; readonly table: WrittenName; readonly verb: 'MERGE' | 'INSERT … ON CONFLICT DO UPDATE' }
  | { readonly type: 'truncate'; readonly tables: readonly WrittenName[]; readonly isCascade: boolean }
  | { readonly type: 'call'; readonly functions: readonly string[] }
  | { readonly type: 'unforeseen'; readonly what: string };

export interface ConvertedColumn {
  readonly type: 'convert';
  readonly table: WrittenName;
  readonly name: string;
  /** As a cast wants it. */
  readonly to: string;
  /** For people. */
  readonly toWords: string;
  /** `none`: it is cast; `null`: there is an expression that could not be cut out. */
  readonly using: string | 'none' | null;
  /** Those that the expression calls. */
  readonly functions: readonly string[];
}

export interface StatementEffects extends Place {
  readonly effects: readonly StatementEffect[];
}

/** What each statement of `source` does in this respect; `null` for a text that the parser cannot read. */
export async function readEffects(source: SqlSource): Promise<readonly StatementEffects[] | null> {
  const statements = await readStatementNodes(source);
  if (statements === null) return null;
  const all: StatementEffects[] = [];
  for (const statement of statements) {
    const { line, column } = statement;
    all.push({ line, column, effects: await readStatementEffects(statement) });
  }
  return all;
}

export async function readStatementEffects(statement: StatementNode): Promise<readonly StatementEffect[]> {
  const { node } = statement;
  if (EXECUTES_ROWS.has(tagOf(node))) return effectsOnRows(statement);
  const effects = readNode(node, EFFECTS);
  if (effects !== undefined) return effects;
  return 'AlterTableStmt' in node ? alterations(statement, node.AlterTableStmt) : [];
}

const EFFECTS: NodeReaders<readonly StatementEffect[]> = {
  VariableSetStmt: ({ kind, name, args = [] }) => {
    if (kind === 'VAR_RESET_ALL') return [{ type: 'search path', schemas: null }];
    if (name !== 'search_path') return [];
    const schemas = args.flatMap((arg) => ('A_Const' in arg ? [arg.A_Const.sval?.sval ?? ''] : []));
    return [{ type: 'search path', schemas: kind === 'VAR_SET_VALUE' ? schemas : null }];
  },
  CreateStmt: ({ relation }) => created(relation),
  CreateForeignTableStmt: ({ base }) => created(base?.relation),
  CreateSeqStmt: ({ sequence }) => created(sequence),
  ViewStmt: ({ view }) => created(view),
  CreateSchemaStmt: ({ schemaname }) => (schemaname === undefined ? [] : [{ type: 'create schema', name: schemaname }]),
  RenameStmt: renamed,
  AlterObjectSchemaStmt: ({ relation, newschema }) =>
    relation === undefined || newschema === undefined
      ? []
      : [{ type: 'move relation', name: nameOf(relation), to: newschema }],
  DropStmt: dropped,
  DropdbStmt: ({ dbname }) => (dbname === undefined ? [] : [{ type: 'drop database', name: dbname }]),
  DropOwnedStmt: ({ roles = [] }) => [
    {
      type: 'drop owned',
      roles: roles.flatMap((role) =>
        'RoleSpec' in role ? [role.RoleSpec.rolename ?? roleWord(role.RoleSpec.roletype)] : [],
      ),
    },
  ],
  TruncateStmt: ({ relations = [], behavior }) => [
    {
      type: 'truncate',
      tables: relations.flatMap((relation) => ('RangeVar' in relation ? [nameOf(relation.RangeVar)] : [])),
      isCascade: behavior === 'DROP_CASCADE',
    },
  ],
  DoStmt: () => [{ type: 'unforeseen', what: 'a DO block' }],
  ExecuteStmt: ({ name }) => [{ type: 'unforeseen', what: `the prepared statement ${name ?? ''}` }],
  CallStmt: ({ funccall }) => [{ type: 'unforeseen', what: `the procedure ${textsOf(funccall?.funcname).join('.')}` }],
};

function roleWord(type: string | undefined): string {
  return type === 'ROLESPEC_SESSION_USER' ? 'session_user' : 'current_user';
}

function created(relation: RangeVar | undefined): readonly StatementEffect[] {
  if (relation === undefined) return [];
  return [{ type: 'create relation', name: nameOf(relation), isTemporary: relation.relpersistence === 't' }];
}

function renamed({ renameType, relation, subname, newname: to }: RenameStmt): readonly StatementEffect[] {
  if (to === undefined) return [];
  if (renameType === 'OBJECT_SCHEMA')
    return subname === undefined ? [] : [{ type: 'rename schema', name: subname, to }];
  if (relation === undefined) return [];
  const name = nameOf(relation);
  if (renameType === 'OBJECT_COLUMN' || renameType === 'OBJECT_ATTRIBUTE') {
    return subname === undefined ? [] : [{ type: 'rename column', table: name, name: subname, to }];
  }
  return RELATION_KINDS.has(objectWords(renameType)) ? [{ type: 'rename relation', name, to }] : [];
}

/** The kinds of what may stand where a table does, by their words. */
export const RELATION_KINDS = new Set(['table', 'foreign table', 'view', 'materialized view', 'sequence', 'index']);

function dropped({ removeType, objects = [], behavior }: DropStmt): readonly StatementEffect[] {
  const kind = objectWords(removeType);
  const isCascade = behavior === 'DROP_CASCADE';
  return objects.flatMap((object): StatementEffect[] => {
    const argumentTypes =
      'ObjectWithArgs' in object && object.ObjectWithArgs.args_unspecified !== true
        ? (object.ObjectWithArgs.objargs ?? []).flatMap((type) =>
            'TypeName' in type ? [regtypeText(type.TypeName)] : [],
          )
        : null;
    const parts =
      readNode<readonly string[]>(object, {
        List: ({ items }) => textsOf(items),
        String: ({ sval }) => [sval ?? ''],
        TypeName: ({ names }) => textsOf(names),
        ObjectWithArgs: ({ objname }) => textsOf(objname),
      }) ?? [];
    if (parts.length === 0) return [];
    const isOfTable = ['trigger', 'policy', 'rule'].includes(kind);
    const table = isOfTable ? { schema: parts.at(-3) ?? null, name: parts.at(-2) ?? '' } : null;
    const name = { schema: isOfTable ? null : (parts.at(-2) ?? null), name: parts.at(-1) ?? '' };
    return [{ type: 'drop', kind, name, isCascade, argumentTypes, table }];
  });
}

async function alterations(
  statement: StatementNode,
  { relation, cmds = [] }: AlterTableStmt,
): Promise<readonly StatementEffect[]> {
  if (relation === undefined) return [];
  const table = nameOf(relation);
  const effects: StatementEffect[] = [];
  for (const command of cmds) {
    if ('AlterTableCmd' in command) effects.push(...(await alteration(statement, table, command.AlterTableCmd)));
  }
  return effects;
}

async function alteration(
  statement: StatementNode,
  table: WrittenName,
  { subtype, name, def, behavior }: AlterTableCmd,
): Promise<readonly StatementEffect[]> {
  const column = def !== undefined && 'ColumnDef' in def ? def.ColumnDef : null;
  if (subtype === 'AT_AddColumn' && column?.colname !== undefined) {
    return [{ type: 'add column', table, name: column.colname }];
  }
  if (name === undefined) return [];
  if (subtype === 'AT_DropColumn')
    return [{ type: 'drop column', table, name, isCascade: behavior === 'DROP_CASCADE' }];
  if (subtype !== 'AT_AlterColumnType' || column?.typeName === undefined) return [];
  const { typeName } = column;
  const using = column.raw_default === undefined ? 'none' : await conversionText(statement, column);
  const functions = functionsIn(column.raw_default);
  return [{ type: 'convert', table, name, to: castType(typeName), toWords: typeWords(typeName), using, functions }];
}

/** Statements that execute what stands in them: also a DELETE in WITH, or a function in a SELECT. */
const EXECUTES_ROWS = new Set([
  'SelectStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'CreateTableAsStmt',
  'ExplainStmt',
  'CopyStmt',
]);

async function effectsOnRows(statement: StatementNode): Promise<readonly StatementEffect[]> {
  const { node } = statement;
  if ('ExplainStmt' in node && !isAnalyzed(node.ExplainStmt.options)) return [];
  const effects: StatementEffect[] = [];
  for (const found of within(node)) effects.push(...(await effectOnRows(statement, found)));
  const functions = functionsIn(node);
  if (functions.length > 0) effects.push({ type: 'call', functions });
  if ('CreateTableAsStmt' in node) effects.push(...created(node.CreateTableAsStmt.into?.rel));
  if ('SelectStmt' in node) effects.push(...created(node.SelectStmt.intoClause?.rel));
  return effects;
}

function isAnalyzed(options: readonly Node[] = []): boolean {
  return options.some((option) => 'DefElem' in option && option.DefElem.defname === 'analyze');
}

async function effectOnRows(statement: StatementNode, node: Node): Promise<readonly StatementEffect[]> {
  if ('DeleteStmt' in node) {
    const { relation, usingClause, whereClause } = node.DeleteStmt;
    if (relation === undefined) return [];
    const rows = await chosenRows(statement, node.DeleteStmt, usingClause);
    return [{ type: 'delete', table: nameOf(relation), rows, functions: functionsIn([whereClause, usingClause]) }];
  }
  if ('UpdateStmt' in node) {
    const { relation, fromClause, whereClause, targetList = [] } = node.UpdateStmt;
    if (relation === undefined) return [];
    const columns = targetList.flatMap((target) => ('ResTarget' in target ? [target.ResTarget.name ?? ''] : []));
    const rows = await chosenRows(statement, node.UpdateStmt, fromClause);
    return [
      { type: 'update', table: nameOf(relation), columns, rows, functions: functionsIn([whereClause, fromClause]) },
    ];
  }
  if ('MergeStmt' in node) {
    const { relation, mergeWhenClauses = [] } = node.MergeStmt;
    const takes = mergeWhenClauses.some(
      (clause) =>
        'MergeWhenClause' in clause && ['CMD_UPDATE', 'CMD_DELETE'].includes(clause.MergeWhenClause.commandType ?? ''),
    );
    return relation === undefined || !takes ? [] : [{ type: 'merge', table: nameOf(relation), verb: 'MERGE' }];
  }
  if ('InsertStmt' in node) {
    const { relation, onConflictClause } = node.InsertStmt;
    return relation === undefined || onConflictClause?.action !== 'ONCONFLICT_UPDATE'
      ? []
      : [{ type: 'merge', table: nameOf(relation), verb: 'INSERT … ON CONFLICT DO UPDATE' }];
  }
  return [];
}

/** Every node of a tree, from the outside in. */
function* within(tree: unknown): Generator<Node> {
  if (typeof tree !== 'object' || tree === null) return;
  if (Array.isArray(tree)) {
    for (const item of tree) yield* within(item);
    return;
  }
  yield tree as Node;
  for (const value of Object.values(tree)) yield* within(value);
}

function functionsIn(tree: unknown): readonly string[] {
  const names = new Set<string>();
  for (const node of within(tree)) {
    if ('FuncCall' in node) names.add(textsOf(node.FuncCall.funcname).at(-1) ?? '');
  }
  return [...names];
}

function nameOf({ schemaname, relname }: RangeVar): WrittenName {
  return { schema: schemaname ?? null, name: relname ?? '' };
}

import type { Node, RangeVar } from 'libpg-query';
import { regtypeText } from './cast-type.js';
import { parseTree, readNode, textsOf } from './parse-tree.js';
import type { Place } from './place.js';
import { isSameTree } from './same-tree.js';
import type { SqlSource } from './source.js';
import { readStatementEffects, type StatementEffect, type WrittenName } from './statement-effects.js';
import { readStatementNodes, type StatementNode } from './statement-nodes.js';
import { tokensOf } from './tokens.js';

/** A function, procedure, trigger or view that a statement makes. */
export interface WrittenDefinition {
  readonly kind: 'function' | 'procedure' | 'trigger' | 'view';
  readonly name: WrittenName;
  /** Of a trigger; `null` for all else. */
  readonly table: WrittenName | null;
  readonly isReplace: boolean;
  readonly isConstraint: boolean;
  /** Of a function's arguments, as for to_regtype. */
  readonly argumentTypes: readonly string[];
  /** The statement with OR REPLACE. */
  readonly replacing: string;
  /**
   * The statement from its name on: that of the function or view, of a trigger that of its table. With `before`, what stands
   * in front, and another name between them, it makes the same under that name. `null`: it cannot be cut.
   */
  readonly parts: { readonly before: string; readonly after: string } | null;
}

/** A statement as far as functions, triggers and views are concerned. */
export interface DefiningStatement extends Place {
  readonly offset: number;
  readonly text: string;
  readonly definition: WrittenDefinition | null;
  /** The triggers whose mode it sets. */
  readonly modes: readonly { readonly table: WrittenName; readonly name: string }[];
  readonly effects: readonly StatementEffect[];
}

/** What each statement of `source` defines; `null` for a text that the parser cannot read. */
export async function readDefinitions(source: SqlSource): Promise<readonly DefiningStatement[] | null> {
  const statements = await readStatementNodes(source);
  if (statements === null) return null;
  const all: DefiningStatement[] = [];
  for (const statement of statements) {
    const { line, column, offset, text, node } = statement;
    const definition = await definitionOf(statement);
    const effects = await readStatementEffects(statement);
    all.push({ line, column, offset, text, definition, modes: modesOf(node), effects });
  }
  return all;
}

async function definitionOf(statement: StatementNode): Promise<WrittenDefinition | null> {
  const read = readNode<Omit<WrittenDefinition, 'replacing' | 'parts'>>(statement.node, {
    CreateFunctionStmt: ({ funcname, is_procedure, replace, parameters = [] }) => {
      const parts = textsOf(funcname);
      return {
        kind: is_procedure ? 'procedure' : 'function',
        name: { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? '' },
        table: null,
        isReplace: replace === true,
        isConstraint: false,
        argumentTypes: parameters.flatMap((parameter) => {
          if (!('FunctionParameter' in parameter)) return [];
          const { mode, argType } = parameter.FunctionParameter;
          const isPassed = mode !== 'FUNC_PARAM_OUT' && mode !== 'FUNC_PARAM_TABLE' && argType !== undefined;
          return isPassed ? [regtypeText(argType)] : [];
        }),
      };
    },
    ViewStmt: ({ view, replace }) => ({
      kind: 'view',
      name: nameOf(view),
      table: null,
      isReplace: replace === true,
      isConstraint: false,
      argumentTypes: [],
    }),
    CreateTrigStmt: ({ trigname, relation, replace, isconstraint }) => ({
      kind: 'trigger',
      name: { schema: null, name: trigname ?? '' },
      table: nameOf(relation),
      isReplace: replace === true,
      isConstraint: isconstraint === true,
      argumentTypes: [],
    }),
  });
  if (read === undefined) return null;
  return { ...read, replacing: await replacing(statement.text), parts: await partsOf(statement) };
}

function nameOf(relation: RangeVar | undefined): WrittenName {
  return { schema: relation?.schemaname ?? null, name: relation?.relname ?? '' };
}

interface Word {
  readonly start: number;
  readonly end: number;
  readonly word: string;
}

async function wordsOf(text: string): Promise<readonly Word[]> {
  const bytes = Buffer.from(text);
  return ((await tokensOf(text)) ?? [])
    .filter(({ tokenName }) => tokenName !== 'SQL_COMMENT' && tokenName !== 'C_COMMENT')
    .map(({ start, end }) => ({ start, end, word: bytes.toString('utf8', start, end).toLowerCase() }));
}

async function replacing(text: string): Promise<string> {
  const [create, or, replace] = await wordsOf(text);
  if (create === undefined || (or?.word === 'or' && replace?.word === 'replace')) return text;
  const bytes = Buffer.from(text);
  const verb = bytes.toString('utf8', create.start, create.end);
  const isUpper = verb === verb.toUpperCase();
  return `${bytes.toString('utf8', 0, create.end)} ${isUpper ? 'OR REPLACE' : 'or replace'}${bytes.toString('utf8', create.end)}`;
}

async function partsOf({ node, text, byte }: StatementNode): Promise<WrittenDefinition['parts']> {
  const words = await wordsOf(text);
  const place = readNode<number | undefined>(node, {
    ViewStmt: ({ view }) => (view?.location ?? 0) - byte,
    CreateTrigStmt: ({ relation }) => (relation?.location ?? 0) - byte,
    CreateFunctionStmt: () =>
      words[words.findIndex(({ word }) => word === 'function' || word === 'procedure') + 1]?.start,
  });
  const first = words.findIndex(({ start }) => start === place);
  const name = words[first];
  if (name === undefined) return null;
  let last = first;
  while (words[last + 1]?.word === '.') last += 2;
  const bytes = Buffer.from(text);
  const parts = {
    before: 'CreateTrigStmt' in node ? bytes.toString('utf8', 0, name.start) : '',
    after: bytes.toString('utf8', words[last]?.end ?? name.end),
  };
  return (await makesTheSame(node, parts)) ? parts : null;
}

/** The very same statement, but for the name. */
async function makesTheSame(node: Node, { before, after }: { readonly before: string; readonly after: string }) {
  const verb = readNode<string>(node, {
    ViewStmt: () => 'create view',
    CreateFunctionStmt: ({ is_procedure }) => (is_procedure ? 'create procedure' : 'create function'),
  });
  const outcome = await parseTree(`${verb === undefined ? before : `${verb} `}x.y${after}`);
  const again = outcome.kind === 'tree' && outcome.statements.length === 1 ? outcome.statements[0]?.stmt : undefined;
  return again !== undefined && isSameTree(withoutName(node), withoutName(again));
}

function withoutName(node: Node): unknown {
  return readNode<unknown>(node, {
    CreateFunctionStmt: ({ funcname: _name, replace: _replace, ...rest }) => rest,
    ViewStmt: ({ view: _view, replace: _replace, ...rest }) => rest,
    CreateTrigStmt: ({ relation: _relation, ...rest }) => rest,
  });
}

const MODES = new Set(['AT_EnableTrig', 'AT_EnableAlwaysTrig', 'AT_EnableReplicaTrig', 'AT_DisableTrig']);

function modesOf(node: Node): DefiningStatement['modes'] {
  if (!('AlterTableStmt' in node)) return [];
  const { relation, cmds = [] } = node.AlterTableStmt;
  return cmds.flatMap((command) => {
    if (!('AlterTableCmd' in command)) return [];
    const { subtype = '', name } = command.AlterTableCmd;
    return MODES.has(subtype) && name !== undefined ? [{ table: nameOf(relation), name }] : [];
  });
}

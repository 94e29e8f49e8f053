import type { DefElem, Node, RawStmt } from 'libpg-query';
import { messageOf } from '../../core/errors.js';

/** The name of a kind of node, such as `CreateFunctionStmt`. */
export type NodeTag = Node extends infer One ? (One extends unknown ? keyof One : never) : never;
export type NodeBody<Tag extends NodeTag> = Extract<Node, Record<Tag, unknown>>[Tag];

/** One reader for each kind of node that is of interest. */
export type NodeReaders<T> = { readonly [Tag in NodeTag]?: (body: NodeBody<Tag>) => T };

export type ParseOutcome =
  | { readonly kind: 'tree'; readonly statements: readonly RawStmt[] }
  /** `position` in characters from 1. */
  | { readonly kind: 'syntax error'; readonly message: string; readonly position: number }
  /** Too large or too deep for the parser, which says nothing about the server. */
  | { readonly kind: 'too much'; readonly reason: string };

/**
 * Bytes. A dense text (`select a+a,a+a,…`) takes some three hundred times its size in the parser, and a parser that runs
 * out of memory prints that and makes it the exit code of the process.
 */
const LARGEST = 2 * 1024 * 1024;

/** An import costs something every time, also of what is loaded. */
let loading: Promise<typeof import('libpg-query')> | undefined;

/** Parses with PostgreSQL 18's own grammar, which is loaded by the first call. */
export async function parseTree(sql: string): Promise<ParseOutcome> {
  const bytes = Buffer.byteLength(sql);
  if (bytes > LARGEST) return { kind: 'too much', reason: `${bytes} bytes are more than ${LARGEST}` };
  // the parser refuses the empty string, though not a string of blanks
  if (sql === '') return { kind: 'tree', statements: [] };
  loading ??= import('libpg-query');
  const { parse, hasSqlDetails } = await loading;
  try {
    const { stmts = [] } = await parse(sql);
    return { kind: 'tree', statements: stmts };
  } catch (error) {
    // its stack is ours, and smaller than the server's
    if (error instanceof RangeError) return { kind: 'too much', reason: messageOf(error) };
    if (!hasSqlDetails(error)) throw error;
    if (error.message.startsWith('memory exhausted')) return { kind: 'too much', reason: error.message };
    return { kind: 'syntax error', message: error.message, position: (error.sqlDetails?.cursorPosition ?? 0) + 1 };
  }
}

/** Calls the reader for `node`; `undefined` when there is none. */
export function readNode<T>(node: Node, readers: NodeReaders<T>): T | undefined {
  const [entry] = Object.entries(node);
  if (entry === undefined) return undefined;
  const [tag, body] = entry;
  // the tag says which body it is, which the compiler cannot follow
  const reader = readers[tag as NodeTag] as ((body: unknown) => T) | undefined;
  return reader?.(body);
}

export function tagOf(node: Node): string {
  return Object.keys(node)[0] ?? '';
}

/** The parts of a dotted name, or of a list of names. */
export function textsOf(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).flatMap((node) => ('String' in node ? [node.String.sval ?? ''] : []));
}

/** Whether an option such as FULL or CONCURRENTLY is given and not switched off. */
export function isOn(options: readonly Node[] | undefined, name: string): boolean {
  const option = (options ?? [])
    .flatMap((one): DefElem[] => ('DefElem' in one ? [one.DefElem] : []))
    .find(({ defname }) => defname === name);
  if (option === undefined) return false;
  const { arg } = option;
  if (arg === undefined) return true;
  if ('Integer' in arg) return (arg.Integer.ival ?? 0) !== 0;
  if ('Boolean' in arg) return arg.Boolean.boolval === true;
  return !('String' in arg && /^(false|off)$/i.test(arg.String.sval ?? ''));
}

/** Calls `visit` for each named part of a tree, from the outside to the inside. */
export function walkTree(value: unknown, visit: (name: string, body: object) => void): void {
  if (Array.isArray(value)) {
    for (const one of value) walkTree(one, visit);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [name, body] of Object.entries(value)) {
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) visit(name, body);
    walkTree(body, visit);
  }
}

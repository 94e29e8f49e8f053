import type { Node } from 'libpg-query';
import { readNode, textsOf } from './parse-tree.js';

/** What a function that `node` creates executes, without its quotes; `null` for all else, and for BEGIN ATOMIC. */
export function functionBody(node: Node): string | null {
  return (
    readNode(node, {
      CreateFunctionStmt: ({ options = [] }) => {
        for (const option of options) {
          if (!('DefElem' in option) || option.DefElem.defname !== 'as') continue;
          const { arg } = option.DefElem;
          const [body] = arg !== undefined && 'List' in arg ? textsOf(arg.List.items) : [];
          return body ?? null;
        }
        return null;
      },
    }) ?? null
  );
}

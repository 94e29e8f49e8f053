import type { Document, LineCounter, Node } from 'yaml';
import { invalidRules, type MaskingRules, parseMaskingRules } from './rules.js';

/**
 * Reads rules that stand in a YAML file. A column with nothing behind its colon is undecided, which is not `null`.
 *
 * @param file how it is called in messages
 * @throws ManageDbError `INVALID_CONFIGURATION` with file, line and column
 * @example await parseYamlRules('tables:\n  clinic.patients:\n    email: email\n', 'masking.yaml')
 */
export async function parseYamlRules(text: string, file: string): Promise<MaskingRules> {
  const yaml = await import('yaml');
  const lines = new yaml.LineCounter();
  const document = yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems = [...document.errors, ...document.warnings].map(
    ({ message, pos }) => `${at(file, lines, pos[0])}: ${message.replace(/\.$/, '')}.`,
  );
  // what an alias repeats would be read in two places, and stands in one
  yaml.visit(document, {
    Alias: (_, { range }) => {
      problems.push(`${at(file, lines, range?.[0] ?? 0)}: aliases are not read here; write it out.`);
    },
  });
  if (problems.length > 0) throw invalidRules(problems);
  const placeOf = (path: readonly PropertyKey[]): string => at(file, lines, offsetOf(yaml, document, path));
  return parseMaskingRules(contentOf(yaml, document.contents), { file, placeOf });
}

type Yaml = typeof import('yaml');

/** What the nodes say. Digests are texts, also where they have digits only. */
function contentOf(yaml: Yaml, node: Node | null): unknown {
  return nodeValue(yaml, node, (name, value) =>
    nodeValue(yaml, value, name === 'literals' ? (_, digest) => sourceOf(yaml, digest) : undefined),
  );
}

/** A scalar without a text is `undefined`, where `toJS()` would give `null`. */
function nodeValue(
  yaml: Yaml,
  node: Node | null,
  entryOf: (name: string, value: Node | null) => unknown = (_, value) => nodeValue(yaml, value),
): unknown {
  if (yaml.isMap(node)) {
    return Object.fromEntries(
      node.items.map(({ key, value }) => {
        const name = String(yaml.isScalar(key) ? (key.source ?? key.value) : key);
        return [name, entryOf(name, value as Node | null)];
      }),
    );
  }
  if (yaml.isSeq(node)) return node.items.map((item) => nodeValue(yaml, item as Node | null));
  if (!yaml.isScalar(node)) return undefined;
  return node.value === null && !node.source ? undefined : node.value;
}

function sourceOf(yaml: Yaml, node: Node | null): unknown {
  return yaml.isScalar(node) ? node.source || undefined : nodeValue(yaml, node);
}

/** Where the deepest part of `path` that is there begins: the key of a pair. */
function offsetOf(yaml: Yaml, document: Document, path: readonly PropertyKey[]): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const step of path) {
    if (yaml.isMap(node)) {
      const pair = node.items.find(({ key }) => yaml.isScalar(key) && String(key.source ?? key.value) === String(step));
      if (pair === undefined) break;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (yaml.isSeq(node)) {
      node = node.items[Number(step)];
      offset = (node as Node | undefined)?.range?.[0] ?? offset;
    } else break;
  }
  return offset;
}

function at(file: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${file}:${line}:${col}`;
}

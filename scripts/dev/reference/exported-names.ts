import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const APP = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'app');

/** A value that the library gives, as its source says it. */
export interface ExportedName {
  readonly name: string;
  /** Of its file, below app/: `core/db-operations/backup`. */
  readonly path: string;
  /** In one line; `null` for what cannot be called. */
  /** A line for each way in which a function may be called. */
  readonly signature: string | null;
  /** Markdown, in one line. */
  readonly description: string;
  readonly throws: string | null;
  readonly example: string | null;
}

/**
 * Every function, class and constant that app/index.ts exports, in its order. Read from the text: the compiler has no API.
 *
 * @throws Error for one that has no JSDoc
 */
export function exportedNames(): readonly ExportedName[] {
  const lists = sourceOf('index').matchAll(/export \{([^}]*)\} from '\.\/([^']*)\.js'/g);
  return [...lists].flatMap(([, names = '', path = '']) =>
    names
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && !name.startsWith('type '))
      .map((name) => read(name, path)),
  );
}

function read(name: string, path: string): ExportedName {
  const source = sourceOf(path);
  const declared = new RegExp(
    `/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\s*export (?:async )?(function|const|class) ${name}\\b`,
  ).exec(source);
  if (declared === null) return read(name, elsewhere(name, path, source));
  const [whole, comment = '', kind] = declared;
  const text = comment.replaceAll(/^\s*\* ?/gm, '').trim();
  const [described = '', ...tags] = text.split(/^@/m);
  const tag = (wanted: string): string | null => {
    const found = tags.find((one) => one.startsWith(wanted));
    return found === undefined ? null : found.slice(wanted.length).trim();
  };
  return {
    name,
    path,
    signature: kind === 'function' ? signaturesOf(name, source.slice(declared.index + whole.length)) : null,
    description: prose(described),
    throws: ((said) => (said === null ? null : prose(said)))(tag('throws')),
    example: tag('example'),
  };
}

/** The file that it is exported from in turn. */
function elsewhere(name: string, path: string, source: string): string {
  const from = new RegExp(`export \\{[^}]*\\b${name}\\b[^}]*\\} from '([^']*)\\.js'`).exec(source)?.[1];
  if (from === undefined) throw new Error(`${name} of app/${path}.ts has no JSDoc.`);
  return normalize(join(dirname(path), from));
}

/** `name(options: Options = {}): Promise<Result>`, a line for each way in which it may be called. */
function signaturesOf(name: string, behind: string): string {
  const [first = '', ...others] = behind.split(new RegExp(`^export (?:async )?function ${name}\\b`, 'm'));
  // the last one has the body, and is for nobody to call where others stand before it
  const callable = others.length === 0 ? [first] : [first, ...others.slice(0, -1)];
  return callable
    .map((text) => `${name}${text.slice(0, /;\n|\s\{\n/.exec(text)?.index ?? 0)}`)
    .map((text) => text.replaceAll(/\s+/g, ' ').replaceAll('( ', '(').replaceAll(/,? \)/g, ')'))
    .join('\n');
}

function prose(text: string): string {
  return text
    .replaceAll(/\{@link ([^}]*)\}/g, '`$1`')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

function sourceOf(path: string): string {
  return readFileSync(join(APP, `${path}.ts`), 'utf8');
}

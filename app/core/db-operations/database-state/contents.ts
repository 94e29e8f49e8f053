/**
 * The kinds of entries by the catalog that their object is in; `0`: it is no object of its own. Schemas may be called DATA or
 * ACL, so that the words alone do not tell.
 */
const KINDS = {
  0: [
    ...['TABLE DATA', 'TABLE ATTACH', 'INDEX ATTACH', 'SEQUENCE SET', 'SEQUENCE OWNED BY', 'MATERIALIZED VIEW DATA'],
    ...[
      'ROW SECURITY',
      'COMMENT',
      'ACL',
      'SECURITY LABEL',
      'STATISTICS DATA',
      'USER MAPPING',
      'BLOBS',
      'BLOB COMMENTS',
    ],
  ],
  826: ['DEFAULT ACL'],
  1247: ['TYPE', 'DOMAIN', 'SHELL TYPE'],
  1255: ['FUNCTION', 'PROCEDURE', 'AGGREGATE'],
  1259: ['TABLE', 'SEQUENCE', 'INDEX', 'MATERIALIZED VIEW', 'VIEW', 'FOREIGN TABLE'],
  1417: ['SERVER'],
  2328: ['FOREIGN DATA WRAPPER'],
  2601: ['ACCESS METHOD'],
  2604: ['DEFAULT'],
  2605: ['CAST'],
  2606: ['CHECK CONSTRAINT', 'FK CONSTRAINT', 'CONSTRAINT'],
  2607: ['CONVERSION'],
  2612: ['PROCEDURAL LANGUAGE'],
  2613: ['BLOB', 'BLOB METADATA'],
  2615: ['SCHEMA'],
  2616: ['OPERATOR CLASS'],
  2617: ['OPERATOR'],
  2618: ['RULE'],
  2620: ['TRIGGER'],
  2753: ['OPERATOR FAMILY'],
  3079: ['EXTENSION'],
  3256: ['POLICY'],
  3381: ['STATISTICS'],
  3456: ['COLLATION'],
  3466: ['EVENT TRIGGER'],
  3576: ['TRANSFORM'],
  3600: ['TEXT SEARCH DICTIONARY'],
  3601: ['TEXT SEARCH PARSER'],
  3602: ['TEXT SEARCH CONFIGURATION'],
  3764: ['TEXT SEARCH TEMPLATE'],
  6100: ['SUBSCRIPTION'],
  6102: ['SUBSCRIPTION TABLE'],
  6104: ['PUBLICATION'],
  6106: ['PUBLICATION TABLE'],
  6237: ['PUBLICATION TABLES IN SCHEMA'],
} as const;

export type EntryKind = (typeof KINDS)[keyof typeof KINDS][number] | 'other';

/** One object of an archive, in the order in which it is restored. */
export interface Entry {
  readonly id: number;
  /** In the database that was dumped, in the catalog that its kind says; 0 where it is no object of its own. */
  readonly oid: number;
  readonly kind: EntryKind;
  /** What must be there before it. */
  readonly needs: readonly number[];
  /** Schema, name and owner, with blanks between; names may have blanks too. */
  readonly said: string;
}

/** `3347; 2615 16386 SCHEMA - manage_db postgres` */
const ENTRY = /^(\d+); (\d+) (\d+) (.*)$/s;

/** What `pg_restore --list --verbose` says after it. */
const NEEDS = /^;\s+depends on:((?: \d+)+)$/;

/** The table of contents of an archive, as `pg_restore --list` writes it; what needs what is in it only with `--verbose`. */
export function parseContents(list: string): Entry[] {
  const entries: Entry[] = [];
  for (const line of list.split('\n')) {
    const [, id, catalog, oid, said] = ENTRY.exec(line) ?? [];
    if (id !== undefined && catalog !== undefined && said !== undefined) {
      entries.push({ id: Number(id), oid: Number(oid), needs: [], ...kindOf(catalog, said) });
      continue;
    }
    const needs = NEEDS.exec(line)?.[1];
    const last = entries.pop();
    if (last === undefined) continue;
    entries.push(needs === undefined ? last : { ...last, needs: [...new Set(needs.trim().split(' ').map(Number))] });
  }
  return entries;
}

/** The entries as `pg_restore --use-list` takes them: it reads nothing but the number. */
export function useList(entries: readonly Entry[]): string {
  return entries.map(({ id }) => `${id};\n`).join('');
}

/** Rows and what else is of class 0 carry the class in some versions: then the words decide. */
function kindOf(catalog: string, said: string): Pick<Entry, 'kind' | 'said'> {
  const own: readonly EntryKind[] = KINDS[Number(catalog) as keyof typeof KINDS] ?? [];
  const kinds = [...own, ...KINDS[0]];
  const kind = kinds.find((one) => said.startsWith(`${one} `));
  return kind === undefined ? { kind: 'other', said } : { kind, said: said.slice(kind.length + 1) };
}

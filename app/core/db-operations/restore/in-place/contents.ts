/**
 * The kinds of entries that belong to tables, by the catalog that their object is in; `0`: it is no object of its own.
 * Schemas may be called DATA or ACL, so that the words alone do not tell.
 */
const KINDS = {
  0: [
    ...['TABLE DATA', 'TABLE ATTACH', 'INDEX ATTACH', 'SEQUENCE SET', 'SEQUENCE OWNED BY', 'MATERIALIZED VIEW DATA'],
    ...['ROW SECURITY', 'COMMENT', 'ACL', 'SECURITY LABEL', 'STATISTICS DATA'],
  ],
  826: ['DEFAULT ACL'],
  1259: ['TABLE', 'SEQUENCE', 'INDEX', 'MATERIALIZED VIEW', 'VIEW', 'FOREIGN TABLE'],
  2604: ['DEFAULT'],
  2606: ['CHECK CONSTRAINT', 'FK CONSTRAINT', 'CONSTRAINT'],
  2615: ['SCHEMA'],
  2618: ['RULE'],
  2620: ['TRIGGER'],
  3256: ['POLICY'],
  3381: ['STATISTICS'],
  6106: ['PUBLICATION TABLE'],
} as const;

export type EntryKind = (typeof KINDS)[keyof typeof KINDS][number] | 'other';

/** One object of an archive, in the order in which it is restored. */
export interface Entry {
  readonly id: number;
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

/** The table of contents of an archive, as `pg_restore --list --verbose` writes it. */
export function parseContents(list: string): Entry[] {
  const entries: Entry[] = [];
  for (const line of list.split('\n')) {
    const [, id, catalog, , said] = ENTRY.exec(line) ?? [];
    if (id !== undefined && catalog !== undefined && said !== undefined) {
      entries.push({ id: Number(id), needs: [], ...kindOf(catalog, said) });
      continue;
    }
    const needs = NEEDS.exec(line)?.[1];
    const last = entries.pop();
    if (last === undefined) continue;
    entries.push(needs === undefined ? last : { ...last, needs: [...new Set(needs.trim().split(' ').map(Number))] });
  }
  return entries;
}

/** Rows and what else is of class 0 carry the class in some versions: then the words decide. */
function kindOf(catalog: string, said: string): Pick<Entry, 'kind' | 'said'> {
  const kinds: readonly EntryKind[] = KINDS[Number(catalog) as keyof typeof KINDS] ?? [];
  const kind = kinds.find((one) => said.startsWith(`${one} `));
  return kind === undefined ? { kind: 'other', said } : { kind, said: said.slice(kind.length + 1) };
}

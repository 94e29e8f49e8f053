import { tokensOf } from './tokens.js';

/** A constant, or a comment, as it stands in SQL. */
export interface SqlLiteral {
  readonly kind: 'text' | 'number' | 'comment';
  /** Of a text, what is between its quotes; its backslashes are as they stand there. */
  readonly value: string;
  /** Whether backslashes in a text mean something: `E'…'`. */
  readonly isEscaped: boolean;
  /** Whether it names something of the catalog: `'clinic.patients_id_seq'::regclass`. */
  readonly isName: boolean;
}

/** Bytes. One token is some two hundred bytes of JSON. */
const LARGEST = 2 * 1024 * 1024;

/** Without any of these there is no constant. */
const PERHAPS = /['$\d]|--|\/\*/;

/** What looks a name up when the definition is made, and keeps what it found. */
const NAMING = /^reg(class|type|proc|procedure|oper|operator|role|namespace|collation|config|dictionary)$/;

/**
 * The constants and comments in a piece of SQL or PL/pgSQL, which need be no whole statement, by PostgreSQL's own scanner.
 *
 * @param sql read as with `standard_conforming_strings = on`
 * @returns `null` where it cannot be taken apart
 * @example await scanLiterals(`status <> 'closed'::text`) // [{ kind: 'text', value: 'closed', … }]
 */
export async function scanLiterals(sql: string): Promise<readonly SqlLiteral[] | null> {
  if (!PERHAPS.test(sql)) return [];
  const bytes = Buffer.from(sql);
  if (bytes.length > LARGEST) return null;
  const tokens = await tokensOf(sql);
  if (tokens === null) return null;
  return tokens.flatMap((token, place) => {
    // the scanner counts bytes, and what it gives as text has been through a hand-made JSON
    const text = bytes.toString('utf8', token.start, token.end);
    const [cast, type] = [tokens[place + 1], tokens[place + 2]];
    const isName = cast?.tokenName === 'TYPECAST' && type !== undefined && NAMING.test(type.text);
    const literal = literalOf(text, token.tokenName);
    return literal === null ? [] : [{ ...literal, isName }];
  });
}

function literalOf(text: string, token: string): Omit<SqlLiteral, 'isName'> | null {
  if (token === 'SQL_COMMENT') return { kind: 'comment', value: text.slice(2), isEscaped: false };
  if (token === 'C_COMMENT') return { kind: 'comment', value: text.slice(2, -2), isEscaped: false };
  if (token === 'ICONST' || token === 'FCONST') return { kind: 'number', value: text, isEscaped: false };
  const [dollar] = /^\$[^$\d]?[^$]*\$/.exec(text) ?? [];
  if (dollar !== undefined) return { kind: 'text', value: text.slice(dollar.length, -dollar.length), isEscaped: false };
  const [opening] = /^(?:[bexn]|u&)?'/i.exec(text) ?? [];
  if (opening === undefined) return null;
  const value = text.slice(opening.length, -1).replaceAll("''", "'");
  return { kind: 'text', value, isEscaped: /^(e|u&)/i.test(opening) };
}

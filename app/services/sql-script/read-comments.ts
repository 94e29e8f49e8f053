import { tokensOf } from './tokens.js';

export interface SqlComment {
  /** With its dashes, or its slashes and stars. */
  readonly text: string;
  /** Index into the SQL. */
  readonly offset: number;
}

/** The comments of a text, found by PostgreSQL's own scanner: what looks like one in a string is none. */
export async function readComments(sql: string): Promise<readonly SqlComment[]> {
  if (!/--|\/\*/.test(sql)) return [];
  const bytes = Buffer.from(sql);
  const comments: SqlComment[] = [];
  let byte = 0;
  let offset = 0;
  for (const { start, end, tokenName } of (await tokensOf(sql)) ?? []) {
    if (tokenName !== 'SQL_COMMENT' && tokenName !== 'C_COMMENT') continue;
    offset += bytes.toString('utf8', byte, start).length;
    byte = start;
    comments.push({ text: bytes.toString('utf8', start, end), offset });
  }
  return comments;
}

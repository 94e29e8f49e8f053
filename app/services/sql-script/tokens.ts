import type { ScanToken } from 'libpg-query';

/** The words and signs of a piece of SQL, at bytes of UTF-8; `null` where PostgreSQL's scanner cannot take it apart. */
export async function tokensOf(sql: string): Promise<readonly ScanToken[] | null> {
  const { scan } = await import('libpg-query');
  try {
    return (await scan(sql)).tokens;
  } catch {
    // it gives no error of its own for what it cannot read
    return null;
  }
}

/** The one place that takes secrets out of text. Everything that leaves the program as prose passes through here. */

export const MASK = '***';

const secrets = new Set<string>();

/** Shorter values are only masked where the text's form shows them to be secrets: masking each "abc" would ruin it. */
const SHORTEST_SEARCHED = 5;

/**
 * Makes `value` unprintable from now on, in any text, also percent-encoded or JSON-escaped. Values that are also the
 * name of something public (`postgres` as user, database and password) cannot be searched for and are skipped.
 */
export function registerSecret(value: string, publicNames: readonly (string | null | undefined)[] = []): void {
  if (value.length < SHORTEST_SEARCHED || publicNames.includes(value)) return;
  for (const form of [value, encodeURIComponent(value), encodeURI(value), JSON.stringify(value).slice(1, -1)]) {
    secrets.add(form);
  }
}

/**
 * `text` without passwords: those in URLs, in `password=…` parameters, identities of age, and every registered secret.
 *
 * @example redact('postgresql://app:hunter2@db1/clinic') // 'postgresql://app:***@db1/clinic'
 */
export function redact(text: string): string {
  let clean = text
    // up to the last @ of the word: an unencoded @, / or : in a password must not leave its tail behind
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s:/@'"`]*):[^\s'"`]*@/gi, `$1:${MASK}@`)
    .replace(
      /(\b(?:[a-z_]*password|pgpassword|[a-z_]*secret|[a-z_]*token)\s*=\s*)('[^']*'|"[^"]*"|[^\s&;,'"]+)/gi,
      `$1${MASK}`,
    )
    .replace(/(\bpassword\s+)('(?:[^']|'')*')/gi, `$1'${MASK}'`)
    .replace(/AGE-SECRET-KEY-[a-z0-9-]+/gi, MASK);
  // the longest first, so that a secret which contains another is masked whole
  for (const secret of [...secrets].sort((a, b) => b.length - a.length)) clean = clean.replaceAll(secret, MASK);
  return clean;
}

/** `value` with every string in it redacted; arrays and plain objects are copied, everything else is kept. */
export function redactDeep<T>(value: T): T {
  if (typeof value === 'string') return redact(value) as T;
  if (Array.isArray(value)) return value.map((item) => redactDeep(item)) as T;
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, redactDeep(item)])) as T;
  }
  return value;
}

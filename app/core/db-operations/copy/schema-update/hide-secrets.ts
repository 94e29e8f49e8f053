import { MASK, registerSecret } from '../../../../config/redaction.js';
import { isSecretOption } from '../../../../database/catalog/armed-objects.js';

/**
 * A statement of pg_dump's as it may be shown: without the values of options of foreign data that are secrets by their names. Nothing
 * else that is printed from now on shows them either, such as the server's words about the statement.
 */
export function hideSecrets(sql: string): string {
  if (!OF_FOREIGN_DATA.test(sql)) return sql;
  return sql.replaceAll(OPTION, (whole: string, before: string, name: string, literal: string) => {
    if (!isSecretOption(name.replace(/^"|"$/g, ''))) return whole;
    const quoted = literal.slice(literal.indexOf("'") + 1, -1);
    registerSecret(quoted);
    registerSecret(quoted.replaceAll("''", "'").replaceAll('\\\\', '\\'));
    return `${before}${name} '${MASK}'`;
  });
}

const OF_FOREIGN_DATA = /^CREATE (FOREIGN DATA WRAPPER|SERVER|FOREIGN TABLE) /m;

/** Each in a line of its own, as quote_ident() and quote_literal() write it. */
const OPTION = /^(\s+)("(?:[^"]|"")*"|[^\s"]+) (E?'(?:[^'\\]|''|\\\\)*')(?=,?$)/gm;

/** What pg_get_functiondef prints, in two parts: `head` is printed otherwise by every major version, `body` from its AS on is not. */
export function splitDefinition(definition: string): { readonly head: string; readonly body: string } {
  const start = definition.indexOf('\nAS ');
  return start === -1
    ? { head: '', body: definition }
    : { head: definition.slice(0, start), body: definition.slice(start) };
}

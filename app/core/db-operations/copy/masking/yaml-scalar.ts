/** Writes texts as scalars of YAML; each is one line, also where the text has several. */
export async function yamlScalar(): Promise<(text: string) => string> {
  const { stringify } = await import('yaml');
  return (text) => {
    const type = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text) ? 'QUOTE_DOUBLE' : 'PLAIN';
    return stringify(text, { lineWidth: 0, defaultStringType: type, doubleQuotedAsJSON: true }).replace(/\n$/, '');
  };
}

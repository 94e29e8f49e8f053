import { expect } from 'chai';
import { textMatching } from '../../../../app/core/db-operations/trigger-test/pattern-text.js';
import { onServer } from '../../../support/scratch-database.js';

const READABLE = [
  '^[A-Z]{3}[0-9]{2}$',
  '^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$',
  '^\\+[0-9 ]{8,20}$',
  '^(alpha|beta)-(?:x|y)?[[:digit:][:upper:]_]+$',
  '^[]a-]{2,}$',
  '^\\d{4}-\\d\\d(-\\d\\d)*?$',
  '^\\w+\\S\\s[^a-zA-Z]$',
  'plain',
  '',
  '^[äöü]{5}$',
  '^.{10}$',
  '^a\\.b\\*$',
  '^(a(b(c|d)){2}){1,3}$',
];
const UNREADABLE = ['(a', '^(?=.*[0-9]).+$', '(a)\\1', '[z-a]', '*', '^a{3,2}$', '^a{1000}$', '[[.x.]]', '[^'];

describe('a text that matches a pattern', () => {
  it('is accepted by PostgreSQL', async () => {
    const samples = READABLE.flatMap((pattern) => Array.from({ length: 50 }, () => [pattern, textMatching(pattern)]));
    const { rows } = await onServer((server) =>
      server.query(
        'select pattern, text from unnest($1::text[], $2::text[]) s (pattern, text) where text !~ pattern is not false',
        [samples.map(([pattern]) => pattern), samples.map(([, text]) => text)],
      ),
    );
    expect(rows).to.deep.equal([]);
  });

  it('is not tried for what only a matcher understands', () => {
    expect(UNREADABLE.map(textMatching)).to.deep.equal(UNREADABLE.map(() => null));
  });
});

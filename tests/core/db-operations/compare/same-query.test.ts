import { buildFactBase, diff, type FactBase } from '@supabase/pg-delta';
import { expect } from 'chai';
import type { Part } from '../../../../app/core/db-operations/compare/part.js';
import { alignQueries } from '../../../../app/core/db-operations/compare/same-query.js';

/** What PostgreSQL 15 and 18 have written of the same views. */
const SAME: readonly (readonly [older: string, newer: string])[] = [
  [' SELECT again.n\n   FROM clinic.again;', ' SELECT n\n   FROM clinic.again;'],
  [
    ' SELECT sum(a.n) AS total\n   FROM again a\n  WHERE (a.n > 3);',
    ' SELECT sum(n) AS total\n   FROM again a\n  WHERE (n > 3);',
  ],
  [
    ' WITH RECURSIVE counting(n) AS (\n SELECT 1\n UNION ALL\n SELECT (counting_1.n + 1) FROM counting counting_1 WHERE (counting_1.n < 5)) SELECT counting.n FROM counting;',
    ' WITH RECURSIVE counting(n) AS (\n SELECT 1\n UNION ALL\n SELECT (counting_1.n + 1) FROM counting counting_1 WHERE (counting_1.n < 5)) SELECT n FROM counting;',
  ],
  [
    ' SELECT p.id FROM people p WHERE (EXISTS ( SELECT FROM visits v WHERE (v.person = p.id)));',
    ' SELECT id FROM people p WHERE (EXISTS ( SELECT FROM visits v WHERE (v.person = p.id)));',
  ],
  [' SELECT "a.b"."x y" FROM "a.b";', ' SELECT "x y" FROM "a.b";'],
];

const OTHER: readonly (readonly [older: string, newer: string])[] = [
  [' SELECT again.n FROM again;', ' SELECT m FROM again;'],
  [' SELECT again.n FROM again;', ' SELECT n FROM others;'],
  [' SELECT a.n FROM a, b;', ' SELECT n FROM a, b;'],
  [' SELECT a.n FROM a JOIN b USING (id);', ' SELECT b.n FROM a JOIN b USING (id);'],
  [' SELECT a.n FROM a WHERE (a.n > 3);', ' SELECT n FROM a WHERE (n > 4);'],
  [' SELECT no query', ' SELECT not a query either ('],
];

describe('views that servers of two versions write differently', () => {
  const part = (oldestMajor: number, newestMajor: number): Part => ({
    selection: null,
    withOwners: true,
    withGrants: true,
    oldestMajor,
    newestMajor,
  });
  const withView = (def: string): FactBase =>
    buildFactBase(
      [
        { id: { kind: 'schema', name: 'clinic' }, payload: {} },
        {
          id: { kind: 'view', schema: 'clinic', name: 'v' },
          parent: { kind: 'schema', name: 'clinic' },
          payload: { def, reloptions: null },
        },
      ],
      [],
    );
  const isEqual = async (one: string, other: string, majors: Part): Promise<boolean> => {
    const from = withView(one);
    return diff(await alignQueries(from, withView(other), majors), from).length === 0;
  };

  it('are the same where they are the same query, in both directions', async () => {
    for (const [older, newer] of SAME) {
      expect(await isEqual(older, newer, part(15, 18)), older).to.equal(true);
      expect(await isEqual(newer, older, part(14, 16)), newer).to.equal(true);
    }
  });

  it('are different where they are not, and where both servers would write them alike', async () => {
    for (const [older, newer] of OTHER) expect(await isEqual(older, newer, part(15, 18)), older).to.equal(false);
    for (const [older, newer] of SAME) {
      expect(await isEqual(older, newer, part(14, 15)), older).to.equal(false);
      expect(await isEqual(older, newer, part(16, 18)), older).to.equal(false);
    }
  });
});

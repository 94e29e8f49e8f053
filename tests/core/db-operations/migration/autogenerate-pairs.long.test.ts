import { expect } from 'chai';
import type pg from 'pg';
import { readDefinitions } from '../../../../app/core/db-operations/compare/read-definitions.js';
import {
  type Belonging,
  type ComparableSchema,
  comparableSchema,
  differencesOf,
} from '../../../../app/core/db-operations/migration/autogenerate/comparable-schema.js';
import { planChanges } from '../../../../app/core/db-operations/migration/autogenerate/plan-changes.js';
import { renderMigration } from '../../../../app/core/db-operations/migration/autogenerate/render-migration.js';
import { runSqlFile } from '../../../../app/services/sql-script.js';
import { onServer, type ScratchDatabase, scratchDatabase, withClient } from '../../../support/scratch-database.js';
import { PAIR_ROLES, SCHEMA_PAIRS, type SchemaPair } from './autogenerate-pairs.js';

/** The two parts of a file, with what somebody has decided to lose. */
function partsOf(text: string): { up: string; down: string } {
  const [, up = '', down = ''] = /^-- migrate:up$(.*)^-- migrate:down$(.*)/ms.exec(text) ?? [];
  const decided = (part: string) => part.replaceAll(/^--! ?/gm, '');
  return { up: decided(up), down: decided(down) };
}

/** Two at a time, each with a database of its own. */
const LANES = 2;

describe('what autogenerate writes', () => {
  let belonging: Belonging;
  let lanes: readonly ScratchDatabase[];
  const outcomes = new Map<string, Promise<unknown>>();
  const states = new Map<string, Promise<ComparableSchema>>();

  before(async () => {
    await onServer(async (server) => {
      for (const role of PAIR_ROLES) await server.query(`create role ${role}`);
      const { rows } = await server.query<{ major: string }>(`select current_setting('server_version') as major`);
      const managed = { triggers: new Set<string>(), functions: new Set<string>(), auditSchema: null };
      belonging = { major: Number.parseInt(rows[0]?.major ?? '', 10), withOwners: false, managed };
    });
    lanes = await Promise.all(Array.from({ length: LANES }, () => scratchDatabase()));
    for (const [lane, { url }] of lanes.entries()) inLane(lane, url);
  });

  after(async () => {
    await Promise.allSettled(outcomes.values());
    for (const database of lanes) await database.drop();
    await onServer(async (server) => {
      for (const role of PAIR_ROLES) await server.query(`drop role ${role}`);
    });
  });

  /** One after the other; what comes of it is told by the test of the pair. */
  const inLane = (lane: number, url: string): void => {
    let last: Promise<unknown> = Promise.resolve();
    for (const pair of SCHEMA_PAIRS.filter((_, index) => index % LANES === lane)) {
      last = last.catch(() => undefined).then(() => withClient(url, (client) => thereAndBack(client, pair)));
      outcomes.set(pair.name, last);
    }
    last.catch(() => undefined);
  };

  const read = async (client: pg.Client) => comparableSchema(await readDefinitions(client, 'salt'), belonging);

  const run = (client: pg.Client, sql: string) => runSqlFile(client, { path: 'part.sql', sql, firstLine: 1 });

  /** Rolled back: a database for each would take much longer. */
  const stateOf = (client: pg.Client, sql: string): Promise<ComparableSchema> => {
    const known = states.get(sql);
    if (known !== undefined) return known;
    const state = inTransaction(client, false, async () => {
      await client.query(sql);
      return read(client);
    });
    states.set(sql, state);
    return state;
  };

  const inTransaction = async <T>(client: pg.Client, commits: boolean, work: () => Promise<T>): Promise<T> => {
    await client.query('begin');
    try {
      const result = await work();
      if (commits) await client.query('commit');
      return result;
    } finally {
      await client.query('rollback');
    }
  };

  const thereAndBack = async (client: pg.Client, pair: SchemaPair): Promise<void> => {
    const [before, after] = [await stateOf(client, pair.before), await stateOf(client, pair.after)];
    expect(await differencesOf(after, before), 'the pair is no pair').not.to.deep.equal([]);
    const changes = await planChanges(before.facts, after.facts);
    for (const { up, down } of changes) expect([up.problem, down.problem]).to.deep.equal([null, null]);
    const parts = changes.map((change) => partsOf(renderMigration(change, [])));
    const state = { before, after, parts };
    if (pair.commits !== true) {
      await inTransaction(client, false, async () => {
        await client.query(pair.before);
        await applied(client, state, (part) => run(client, part));
      });
      return;
    }
    const own = await scratchDatabase(pair.before);
    await withClient(own.url, (other) =>
      applied(other, state, (part) => inTransaction(other, true, () => run(other, part))),
    );
    await own.drop();
  };

  const applied = async (
    client: pg.Client,
    state: {
      readonly before: ComparableSchema;
      readonly after: ComparableSchema;
      readonly parts: readonly { readonly up: string; readonly down: string }[];
    },
    runPart: (part: string) => Promise<unknown>,
  ): Promise<void> => {
    const now = () => (state.parts.length > 1 ? inTransaction(client, false, () => read(client)) : read(client));
    for (const { up } of state.parts) await runPart(up);
    expect(await differencesOf(state.after, await now()), 'after up').to.deep.equal([]);
    for (const { down } of [...state.parts].reverse()) await runPart(down);
    expect(await differencesOf(state.before, await now()), 'after down').to.deep.equal([]);
  };

  it('is tried with at least 60 pairs of schemas', () => {
    expect(outcomes.size).to.be.at.least(60);
    expect(outcomes.size).to.equal(SCHEMA_PAIRS.length);
  });

  for (const { name } of SCHEMA_PAIRS) it(`leads there and back: ${name}`, () => outcomes.get(name));
});

import { expect } from 'chai';
import { failureOf } from '../../support/failure-of.js';
import { refusalOf } from '../../support/refusal-of.js';
import { type SchemaUpdatePair, schemaUpdatePair } from '../../support/schema-update-pair.js';
import type { ScratchDatabase } from '../../support/scratch-database.js';

describe('what a schema update would lose', () => {
  let pair: SchemaUpdatePair;
  let to: ScratchDatabase;

  const prepare = async (wanted: string, present: string): Promise<void> => {
    pair = await schemaUpdatePair(wanted, present);
    ({ to } = pair);
  };
  afterEach(() => pair.remove());

  const plan: SchemaUpdatePair['plan'] = (options) => pair.plan(options);
  const update: SchemaUpdatePair['update'] = (...given) => pair.update(...given);
  const one = async (sql: string): Promise<unknown> => Object.values((await to.query(sql)).rows[0] ?? {})[0];

  describe('in values of composite types', () => {
    const around: readonly (readonly [what: string, definitions: string, value: string])[] = [
      ['a domain', 'create domain d as cc; create table c (v d)', `row(1, 'precious')::cc`],
      ['an array', 'create table c (v cc[])', `array[row(1, 'precious')::cc]`],
      ['an array of a domain', 'create domain d as cc; create table c (v d[])', `array[row(1, 'precious')::cc::d]`],
      ['a domain over an array', 'create domain d as cc[]; create table c (v d)', `array[row(1, 'precious')::cc]`],
      ['another composite', 'create type o as (x cc); create table c (v o)', `row(row(1, 'precious')::cc)::o`],
      ['a range', 'create type r as range (subtype = cc); create table c (v r)', `r(row(1, 'precious')::cc, null)`],
      [
        'a multirange of a domain in a partition',
        `create type r as range (subtype = cc); create table c (id int, v r_multirange) partition by list (id);
         create table c_1 partition of c default`,
        `r_multirange(r(row(1, 'precious')::cc, null))`,
      ],
      [
        'rows of another table',
        'create table inner_table (x cc); create table c (v inner_table)',
        `row(row(1, 'precious')::cc)::inner_table`,
      ],
    ];
    for (const [what, definitions, value] of around) {
      it(`finds them in ${what}`, async () => {
        const [old, wanted] = ['create type cc as (a int, b text);', 'create type cc as (a int);'];
        await prepare(wanted + definitions, `${old}${definitions}; insert into c (v) values (${value})`);
        const { losses, locks } = await plan();
        expect(losses).to.deep.equal(['The attribute public.cc.b is dropped, with its values in public.c.v.']);
        expect(locks).to.deep.include({ schema: 'public', name: 'c', mode: 'access exclusive', waits: 'everybody' });
        expect((await failureOf(update())).code).to.equal('USAGE');
        expect(await one('select v::text as v from c')).to.include('precious');
        const { safetyBackup } = await update({ allowDataLoss: true });
        expect(safetyBackup).to.be.a('string');
        expect(await one('select v::text as v from c')).to.not.include('precious');
      });
    }

    it('finds them in a materialized view', async () => {
      await prepare(
        'create type cc as (a int); create materialized view m as select null::cc as v',
        `create type cc as (a int, b text); create materialized view m as select row(1, 'precious')::cc as v`,
      );
      expect((await plan()).losses.join('\n')).to.include('with its values in public.m.v.');
    });

    it('loses nothing where there is no value, and nobody may write one meanwhile', async () => {
      const definitions = 'create domain d as cc; create table c (v d)';
      await prepare(
        `create type cc as (a int); ${definitions}`,
        `create type cc as (a int, b text); ${definitions}; insert into c values (null)`,
      );
      const { losses, locks } = await plan();
      expect(losses).to.deep.equal([]);
      expect(locks.map(({ name, waits }) => [name, waits])).to.deep.equal([['c', 'everybody']]);
      const insert = () => to.query(`insert into c values (row(1, 'precious')::cc)`);
      const { message } = await failureOf(update({}, insert));
      expect(message).to.include('The attribute public.cc.b is dropped, with its values in public.c.v.');
    });
  });

  describe('where rows of a table are values', () => {
    for (const [what, definitions, value] of [
      ['a column', 'create table c (v r)', `row(1, 'precious')::r`],
      ['an array', 'create table c (v r[])', `array[row(1, 'precious')::r]`],
      ['a composite', 'create type o as (x r); create table c (v o)', `row(row(1, 'precious')::r)::o`],
      [
        'rows of a table that inherits from it',
        'create table child () inherits (r); create table c (v child)',
        `row(1, 'precious')::child`,
      ],
    ] as const) {
      it(`finds them in ${what}`, async () => {
        await prepare(
          `create table r (a int); ${definitions}`,
          `create table r (a int, b text); ${definitions}; insert into c (v) values (${value})`,
        );
        const { losses, locks } = await plan();
        expect(losses).to.deep.equal(['The column public.r.b is dropped, with its values in public.c.v.']);
        expect(locks.map(({ name }) => name)).to.include.members(['c', 'r']);
        expect((await failureOf(update())).code).to.equal('USAGE');
        expect(await one('select v::text as v from c')).to.include('precious');
      });
    }
  });

  it('names the values of a computed column that is to be an ordinary one', async () => {
    const present = 'create table g (a int, b int generated always as (a * 2) stored)';
    await prepare('create table g (a int, b int)', `${present}; insert into g (a) values (21)`);
    expect((await plan()).losses).to.deep.equal([
      'The column public.g.b is computed no more: it is dropped, with its values in rows that were not counted yet, 1 MB, and made again.',
    ]);
    expect((await failureOf(update())).code).to.equal('USAGE');
    expect(await one('select b from g')).to.equal(42);
    await to.query('truncate g');
    expect((await plan()).losses).to.deep.equal([]);
  });

  it('calls it no loss where it is computed in another way', async () => {
    await prepare(
      'create table g (a int, b int generated always as (a * 3) stored)',
      'create table g (a int, b int generated always as (a * 2) stored); insert into g (a) values (2)',
    );
    expect((await plan()).losses).to.deep.equal([]);
    await update();
    expect(await one('select b from g')).to.equal(6);
  });

  describe('of numbers that were given', () => {
    const SERIAL = 'create table g (id serial, v text);';
    const IDENTITY = 'create table g (id int generated by default as identity, v text);';
    const GONE = `insert into g (v) select 'x' from generate_series(1, 10); delete from g;`;

    for (const [what, wanted, present] of [
      ['a serial that becomes an identity', IDENTITY, SERIAL],
      ['an identity that becomes a serial', SERIAL, IDENTITY],
      ['a serial under another name', `${SERIAL} alter sequence g_id_seq rename to "Other"`, SERIAL],
    ] as const) {
      it(`goes on with those of ${what}, also when the rows are gone`, async () => {
        await prepare(wanted, present + GONE);
        const { losses, warnings } = await update();
        expect(losses).to.deep.equal([]);
        expect(warnings.join('\n')).to.include('goes on where public.g_id_seq was: it gives 11 next.');
        expect(await one(`insert into g (v) values ('new') returning id`)).to.equal(11);
      });
    }

    it('gives no number twice when the last one was given', async () => {
      await prepare(IDENTITY, `${SERIAL} select setval('g_id_seq', 2147483647)`);
      await update();
      const { message } = await refusalOf(() => to.query(`insert into g (v) values ('new')`));
      expect(message).to.include('reached maximum value');
    });

    it('moves no sequence that was there when it fails', async () => {
      await prepare(
        `${IDENTITY} create table h (x int not null)`,
        `${SERIAL} ${GONE} create table h (x int); insert into h values (null)`,
      );
      await failureOf(update());
      expect(await one(`insert into g (v) values ('new') returning id`)).to.equal(11);
    });

    for (const [what, wanted, present, text] of [
      [
        'of nobody',
        '',
        `create sequence s; select setval('s', 500);`,
        'public.s is dropped, with its position: it would give 501 next.',
      ],
      [
        'of a column',
        'create table g (id int not null, v text)',
        SERIAL + GONE,
        'public.g_id_seq is dropped, with its position: it would give 11 next.',
      ],
      [
        'of an identity',
        'create table g (id int not null, v text)',
        IDENTITY + GONE,
        'public.g_id_seq is dropped, with its position: it would give 11 next.',
      ],
      [
        'whose numbers do not fit the next one',
        'create table g (id int generated by default as identity (maxvalue 5), v text)',
        SERIAL + GONE,
        'public.g_id_seq is dropped, with its position: it would give 11 next.',
      ],
    ] as const) {
      it(`names a sequence ${what} that goes with its position`, async () => {
        await prepare(wanted, present);
        expect((await plan()).losses).to.deep.equal([`The sequence ${text}`]);
        expect((await failureOf(update())).code).to.equal('USAGE');
        await update({ allowDataLoss: true });
      });
    }

    it('calls it no loss when a sequence has given nothing, or goes with its table', async () => {
      await prepare('', `create sequence s start 7; ${SERIAL} ${GONE}`);
      expect((await plan()).losses).to.deep.equal([]);
    });
  });

  describe('of comments on what belongs to an extension', () => {
    const EXTENSION = 'create extension pg_trgm;';
    const MINE = `${EXTENSION} comment on function similarity(text, text) is 'mine';`;
    const comment = () => one(`select obj_description('similarity(text, text)'::regprocedure, 'pg_proc') as comment`);

    it('leaves them alone on either side', async () => {
      await prepare(MINE, `${EXTENSION} create table t (id int)`);
      const { statements } = await plan();
      expect(statements.map(({ sql }) => sql)).to.deep.equal(['DROP TABLE "public"."t"']);
      await update();
      expect(await comment()).to.equal(null);
    });

    it('keeps those of the target', async () => {
      await prepare(`${EXTENSION} create table t (id int); comment on table t is 'here'`, MINE);
      await update();
      expect(await comment()).to.equal('mine');
      expect(await one(`select obj_description('t'::regclass, 'pg_class') as comment`)).to.equal('here');
    });

    it('fills an empty target without them', async () => {
      await prepare(`${MINE} create table t (id int)`, '');
      await update();
      expect(await comment()).to.equal(null);
    });
  });
});

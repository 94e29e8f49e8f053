import { spawnSync } from 'node:child_process';
import { type Delta, diff, extract, type FactBase } from '@supabase/pg-delta';
import { expect } from 'chai';
import pg from 'pg';
import {
  type ContentRow,
  contentChecksum,
  contentStatement,
  pinOutput,
} from '../../../../app/core/db-operations/database-state/table-content.js';
import { findClientTools } from '../../../../app/services/client-tools.js';

/** Everything of the users in a database that two readers see who know nothing of each other, and every byte of the data. */
export interface WholeState {
  /** What pg-delta has found. */
  readonly facts: FactBase;
  /** What pg_dump writes: it knows kinds that pg-delta does not. */
  readonly schema: readonly string[];
  /** One line for each table's content, each sequence's position, each large object, each trigger's mode. */
  readonly data: readonly string[];
}

export async function readWholeState(url: string): Promise<WholeState> {
  const pool = new pg.Pool({ connectionString: url, max: 1 });
  pool.on('error', () => undefined);
  try {
    const { factBase: facts } = await extract(pool);
    return { facts, schema: await schemaText(url), data: await dataLines(pool) };
  } finally {
    await pool.end();
  }
}

export function expectSame(before: WholeState, after: WholeState): void {
  expect(after.data.filter((line) => !before.data.includes(line))).to.deep.equal([]);
  expect(after.data).to.deep.equal(before.data);
  expect(after.schema).to.deep.equal(before.schema);
  expect(differences(before, after)).to.deep.equal([]);
}

/** What pg-delta says of two states, without what manage_db has written about them. */
export function differences({ facts: before }: WholeState, { facts: after }: WholeState): Delta[] {
  return diff(before, after).filter(
    (delta) => !/"schema":"manage_db"|"kind":"schema","name":"manage_db"/.test(JSON.stringify(delta)),
  );
}

async function schemaText(url: string): Promise<string[]> {
  const { pgDump } = await findClientTools();
  const { status, stdout, stderr } = spawnSync(
    pgDump,
    ['--schema-only', '--exclude-schema=manage_db', `--dbname=${url}`],
    { encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  expect(status, stderr).to.equal(0);
  return stdout.split('\n').filter((line) => !/^\\(un)?restrict /.test(line));
}

async function dataLines(pool: pg.Pool): Promise<string[]> {
  await pinOutput(pool);
  // planning looks into expression indexes, and some call what they find by it
  await pool.query('set search_path to default');
  const { rows: tables } = await pool.query<{ quotedName: string; columns: string[] }>(TABLES);
  const contents: string[] = [];
  for (const table of tables) {
    const { rows } = await pool.query<{ [Key in keyof ContentRow]: ContentRow[Key] }>(contentStatement(0, table));
    for (const row of rows) contents.push(`${table.quotedName}: ${row.rows} rows, ${contentChecksum(table, row)}`);
  }
  const { rows: sequences } = await pool.query<{ statement: string }>(SEQUENCES);
  for (const { statement } of sequences) {
    const { rows } = await pool.query<{ line: string }>(statement);
    contents.push(...rows.map(({ line }) => line));
  }
  const { rows: others } = await pool.query<{ line: string }>(OTHERS);
  return [...contents, ...others.map(({ line }) => line)];
}

/** Also what is computed: generated columns and materialized views. */
const TABLES = `
  select format('%I.%I', n.nspname, c.relname) as "quotedName",
    array(select quote_ident(a.attname) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      order by a.attnum) as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm') and c.relispopulated and n.nspname not in ('pg_catalog', 'information_schema', 'manage_db', 'pg_toast')
  order by 1`;

const SEQUENCES = `
  select format('select %L || last_value || %L || is_called as line from %s', 'sequence ' || s.seqrelid::regclass || ' at ', ', called: ', s.seqrelid::regclass) as statement
  from pg_sequence s join pg_class c on c.oid = s.seqrelid where c.relnamespace::regnamespace::text <> 'manage_db' order by 1`;

const OTHERS = `
  select format('large object %s of %s: %s, grants %s, %L', l.oid, l.lomowner::regrole, md5(lo_get(l.oid)), l.lomacl, obj_description(l.oid, 'pg_largeobject')) as line
  from pg_largeobject_metadata l
  union all
  select format('trigger %s of %s: %s', case when t.tgisinternal then 'of ' || k.conname else t.tgname end, t.tgrelid::regclass,
    string_agg(t.tgenabled::text, '' order by t.tgfoid::regproc::text))
  from pg_trigger t left join pg_constraint k on k.oid = t.tgconstraint
  join pg_class c on c.oid = t.tgrelid where c.relnamespace::regnamespace::text <> 'manage_db'
  group by case when t.tgisinternal then 'of ' || k.conname else t.tgname end, t.tgrelid
  union all
  select format('index %s: valid %s', i.indexrelid::regclass, i.indisvalid) from pg_index i join pg_class c on c.oid = i.indrelid
  where c.relnamespace::regnamespace::text not in ('manage_db', 'pg_toast', 'pg_catalog')
  union all
  select format('materialized view %s: populated %s', oid::regclass, relispopulated) from pg_class where relkind = 'm'
  order by 1`;

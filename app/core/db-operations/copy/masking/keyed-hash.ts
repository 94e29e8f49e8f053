import { createHash } from 'node:crypto';
import { registerSecret } from '../../../../config/redaction.js';
import type { Queryable } from '../../../../database/queryable.js';
import { ManageDbError } from '../../../errors.js';

/** The setting that holds the key, as the two padded keys of HMAC-SHA-256 in hex, one after the other. */
const SETTING = 'manage_db.masking_salt';
const BLOCK = 64;

/**
 * Gives the transaction of `db` the key that all maskers take, as a parameter: it stands in no statement. It ends with the
 * transaction, so a pooler can hand it to nobody else; without it every masker fails.
 *
 * @param db in a transaction, on the source
 * @throws ManageDbError `USAGE` where the server would write parameters into its log, and outside of a transaction
 * @example await setMaskingSalt(client, await readMaskingSalt('production'));
 */
export async function setMaskingSalt(db: Queryable, salt: string): Promise<void> {
  registerSecret(paddedKeys(salt));
  await silenceParameters(db);
  await setPassingSalt(db, salt);
}

/** {@link setMaskingSalt} for a salt that nobody needs afterwards: who reads it in a log learns nothing. */
export async function setPassingSalt(db: Queryable, salt: string): Promise<void> {
  const key = paddedKeys(salt);
  await db.query(`select pg_catalog.length(pg_catalog.set_config('${SETTING}', $1, true))`, [key]);
  const { rows } = await db.query<{ length: number | null }>(
    `select pg_catalog.length(pg_catalog.current_setting('${SETTING}', true)) as length`,
  );
  if (rows[0]?.length === key.length) return;
  throw new ManageDbError('USAGE', 'The salt for masking was given outside of a transaction, and is gone.', {
    hint: 'Begin a transaction first: begin isolation level repeatable read read only',
  });
}

/**
 * HMAC-SHA-256 of a text as bytea, in SQL that needs no extension. The keys are read once for each statement: nothing in
 * these subqueries belongs to a row.
 *
 * @param purpose the same text gives something else for another purpose
 */
export function hmacOf(text: string, purpose: string): string {
  const message = `pg_catalog.convert_to(pg_catalog.textcat('${purpose}:', ${text}), 'UTF8')`;
  const inner = `pg_catalog.sha256(pg_catalog.byteacat(${keyAt(1)}, ${message}))`;
  return `pg_catalog.sha256(pg_catalog.byteacat(${keyAt(2)}, ${inner}))`;
}

/** {@link hmacOf} as 64 hexadecimal digits. */
export function hexOf(text: string, purpose: string): string {
  return `pg_catalog.encode(${hmacOf(text, purpose)}, 'hex')`;
}

/** The first `digits` (at most 15) hexadecimal digits of `hex` as a bigint. */
export function numberOf(hex: string, digits: number): string {
  const bits = `pg_catalog.textcat('x', pg_catalog.substr(${hex}, 1, ${digits}))`;
  return `${bits}::pg_catalog.bit(${digits * 4})::pg_catalog.int8`;
}

// a setting that was local to an ended transaction is empty, not unknown: then the name of one that never was says so
function keyAt(place: 1 | 2): string {
  const start = (place - 1) * BLOCK * 2 + 1;
  return `(select case when pg_catalog.int4eq(pg_catalog.length("manage_db key"), ${BLOCK * 4})
    then pg_catalog.decode(pg_catalog.substr("manage_db key", ${start}, ${BLOCK * 2}), 'hex')
    else pg_catalog.convert_to(pg_catalog.current_setting('${SETTING}_is_not_set'), 'UTF8') end
    from (select pg_catalog.current_setting('${SETTING}') as "manage_db key" offset 0) "manage_db keys")`;
}

function paddedKeys(salt: string): string {
  const bytes = Buffer.from(salt, 'utf8');
  const key = Buffer.alloc(BLOCK);
  (bytes.length > BLOCK ? createHash('sha256').update(bytes).digest() : bytes).copy(key);
  const padded = (pad: number) => Buffer.from(key.map((byte) => byte ^ pad)).toString('hex');
  return padded(0x36) + padded(0x5c);
}

/** Settings that would log the parameters of a statement which takes no time, and what hinders that. */
const LOGGED = `
  select array(
    select s.name || ' = ' || s.setting from pg_catalog.pg_settings s
    where (s.name = 'log_statement' and s.setting = 'all')
      or (s.name in ('log_min_duration_statement', 'auto_explain.log_min_duration') and s.setting ~ '^[0-9]{1,3}$')
      or (s.name = 'log_min_duration_sample' and s.setting ~ '^[0-9]{1,3}$'
        and pg_catalog.current_setting('log_statement_sample_rate') <> '0')
      or (s.name = 'log_transaction_sample_rate' and s.setting <> '0')
      or (s.name = 'pgaudit.log_parameter' and s.setting = 'on')
    order by s.name) as loud,
  pg_catalog.current_setting('log_parameter_max_length') = '0' as "isSilent",
  pg_catalog.current_setting('is_superuser') = 'on' as "isSuperuser",
  pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version`;

/** Extensions that write parameters by rules of their own, and what stops that. */
const OWN_RULES = [
  ['pgaudit.log_parameter', 'off'],
  ['auto_explain.log_min_duration', '-1'],
] as const;

interface Logging {
  readonly loud: readonly string[];
  readonly isSilent: boolean;
  readonly isSuperuser: boolean;
  readonly version: number;
}

async function silenceParameters(db: Queryable): Promise<void> {
  // with that, what is written about a statement for another reason has its parameters, too
  await db.query(`select pg_catalog.set_config('log_parameter_max_length_on_error', '0', true)`);
  const { rows } = await db.query<{ [Key in keyof Logging]: Logging[Key] }>(LOGGED);
  const [found] = rows;
  if (found === undefined) return;
  const others = found.loud.flatMap((one) => OWN_RULES.filter(([name]) => one.startsWith(name)));
  if (others.length === 0 && (found.loud.length === 0 || found.isSilent)) return;
  if (others.length === 0 && (found.isSuperuser || (await maySilence(db, found)))) {
    await db.query(`select pg_catalog.set_config('log_parameter_max_length', '0', true)`);
    return;
  }
  const [name, off] = others[0] ?? ['log_parameter_max_length', '0'];
  throw new ManageDbError(
    'USAGE',
    `The server would write the salt for masking into its log (${found.loud.join(', ')}); it was not sent.`,
    {
      hint: `Let an administrator of the server run: alter role <login> set ${name} = '${off}'`,
      details: { settings: found.loud },
    },
  );
}

async function maySilence(db: Queryable, { version }: Logging): Promise<boolean> {
  // the privilege came with PostgreSQL 15
  if (version < 150_000) return false;
  const { rows } = await db.query<{ may: boolean }>(
    `select pg_catalog.has_parameter_privilege(current_user, 'log_parameter_max_length', 'set') as may`,
  );
  return rows[0]?.may === true;
}

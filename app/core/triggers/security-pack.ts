import { join } from 'node:path';
import { packageRoot } from '../../services/package-root.js';
import { ManageDbError } from '../errors.js';
import { defineTrigger, type TriggerDeclaration } from './declaration.js';
import { everyTable } from './every-table.js';
import { DEFAULT_FUNCTION_SCHEMA, type TriggerPack } from './pack.js';
import type { SecurityPackSettings } from './security-pack-settings.js';

const TEXT_TYPES = ['text', 'character varying'];
const MOMENT_TYPES = ['timestamp with time zone', 'timestamp without time zone'];
const NUMBER_TYPES = ['smallint', 'integer', 'bigint'];

/**
 * The forms in which applications hash passwords: bcrypt, the other forms of crypt(3), Argon2, scrypt, PBKDF2 (Django's
 * and passlib's), SCRAM. A text that only begins like one is none.
 */
const HASHED = [
  String.raw`\$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{53}`,
  String.raw`\$argon2(id|i|d)\$v=[0-9]+\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+`,
  String.raw`\$(1|5|6|7|y|gy|scrypt)\$[^:]{20,}`,
  String.raw`(\$pbkdf2(-[a-z0-9]+)?\$[0-9]+\$|pbkdf2_sha[0-9]+\$[0-9]+\$|scrypt:)[^ ]{20,}`,
  String.raw`SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+`,
];

/** The security pack: password hashing, account lockout and sessions, on the tables that have the columns. */
export function securityPack(settings: SecurityPackSettings): TriggerPack {
  refuseProblems(settings);
  const folder = join(packageRoot(), 'app', 'database', 'triggers', 'security');
  const files = ['hash_password', 'lock_account', 'manage_session', 'limit_sessions'];
  return {
    name: 'security',
    functionFiles: files.map((name) => join(folder, `${name}.sql`)),
    functionSchema: settings.functionSchema ?? DEFAULT_FUNCTION_SCHEMA,
    declarations: [...passwords(settings), ...lockout(settings), ...sessions(settings)],
  };
}

/** Late among those that fire before the row, so that no other one brings a plain password afterwards; also as a replica. */
function passwords({ passwords: given = {}, except = [] }: SecurityPackSettings): TriggerDeclaration[] {
  const { columns = ['password_hash', 'password'], cost = 12, alsoHashed } = given;
  const pattern = `^(${[...HASHED, ...(alsoHashed === undefined ? [] : [alsoHashed])].join('|')})$`;
  return columns.map((column) =>
    defineTrigger(`zz_hash_${column}`, {
      table: everyTable({ having: { [column]: TEXT_TYPES }, except }),
      timing: 'before',
      on: ['insert', 'update'],
      function: 'hash_password',
      args: [column, String(cost), pattern],
      mode: 'always',
    }),
  );
}

function lockout({ lockout: given = {}, except = [] }: SecurityPackSettings): TriggerDeclaration[] {
  const { failedColumn = 'failed_login_attempts', untilColumn = 'locked_until' } = given;
  const { loginColumn = 'last_login_at', attempts = 5, minutes = 15 } = given;
  return [
    defineTrigger('lock_account', {
      table: everyTable({ having: { [failedColumn]: NUMBER_TYPES, [untilColumn]: MOMENT_TYPES }, except }),
      timing: 'before',
      on: ['update'],
      function: 'lock_account',
      args: [failedColumn, untilColumn, loginColumn, String(attempts), String(minutes)],
    }),
  ];
}

function sessions({ sessions: given = {}, except = [] }: SecurityPackSettings): TriggerDeclaration[] {
  const { userColumn = 'user_id', expiresColumn = 'expires_at', revokedColumn = 'revoked_at' } = given;
  const { minutes = 720, limit = 5 } = given;
  const having = { [userColumn]: null, [expiresColumn]: MOMENT_TYPES, [revokedColumn]: MOMENT_TYPES };
  const table = everyTable({ having, except });
  return [
    defineTrigger('manage_session', {
      table,
      timing: 'before',
      on: ['insert', 'update'],
      function: 'manage_session',
      args: [expiresColumn, revokedColumn, String(minutes)],
    }),
    defineTrigger('limit_sessions', {
      table,
      timing: 'after',
      on: ['insert'],
      function: 'limit_sessions',
      args: [userColumn, expiresColumn, revokedColumn, String(limit)],
    }),
  ];
}

function refuseProblems({
  passwords: hashing = {},
  lockout: locking = {},
  sessions: managing = {},
}: SecurityPackSettings) {
  const { columns, cost = 12 } = hashing;
  const positive = { 'lockout.attempts': locking.attempts, 'lockout.minutes': locking.minutes };
  const numbers = { ...positive, 'sessions.minutes': managing.minutes, 'sessions.limit': managing.limit };
  const problems = [
    ...(columns === undefined || columns.length > 0 ? [] : ['passwords.columns must name a column']),
    ...(Number.isInteger(cost) && cost >= 10 && cost <= 20 ? [] : ['passwords.cost must be from 10 to 20']),
    ...Object.entries(numbers).flatMap(([name, value]) =>
      value === undefined || (Number.isInteger(value) && value > 0) ? [] : [`${name} must be 1, 2, 3 …`],
    ),
  ];
  if (problems.length === 0) return;
  throw new ManageDbError('INVALID_CONFIGURATION', `configureSecurityPack: ${problems.join('; ')}.`, {
    hint: "For instance: configureSecurityPack({ passwords: { columns: ['password_hash'] }, lockout: { attempts: 10 } })",
  });
}

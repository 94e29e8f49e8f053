import { join } from 'node:path';
import { packageRoot } from '../../services/package-root.js';
import { defineTrigger, type TriggerDeclaration } from './declaration.js';
import { type EveryTable, everyTable } from './every-table.js';
import type { TriggerPack } from './pack.js';
import type { LockoutPolicy, PasswordPolicy, SecurityPolicy, SessionPolicy } from './security-policy.js';

const TEXT_TYPES = ['text', 'character varying', 'character'];
const INTEGER_TYPES = ['integer', 'bigint', 'smallint'];
/** Without a time zone, it would depend on the session's whether a moment has passed. */
const MOMENT_TYPES = ['timestamp with time zone'];
const TIMESTAMP_TYPES = [...MOMENT_TYPES, 'timestamp without time zone'];

/** The security pack: passwords are hashed, accounts locked and sessions managed, on every table that has the columns. */
export function securityPack(policy: SecurityPolicy): TriggerPack {
  const { functionSchema, except, passwords, lockout, sessions } = policy;
  const declarations = [
    ...(passwords === null ? [] : hashPasswords(passwords, except)),
    ...(lockout === null ? [] : lockAccounts(lockout, except)),
    ...(sessions === null ? [] : manageSessions(sessions, except)),
  ];
  return {
    name: 'security',
    functionFiles: [...new Set(declarations.map((declaration) => fileOf(declaration.function)))],
    functionSchema,
    declarations,
  };
}

function fileOf(name: string): string {
  return join(packageRoot(), 'app', 'database', 'triggers', 'security', `${name}.sql`);
}

/**
 * Two triggers a column: one that hashes, late among those that fire before the row, and one that looks whether a still
 * later one has undone it.
 */
function hashPasswords(passwords: PasswordPolicy, except: readonly string[]): TriggerDeclaration[] {
  const { columns, only, cost, hashes, alsoHashed } = passwords;
  const triggers = columns.flatMap((column) => {
    const args = [column, `${cost}`, hashes.join(',')];
    const trigger = {
      table: everyTable({ having: { [column]: TEXT_TYPES }, except, ...(only && { only }) }),
      on: ['insert', 'update'],
      function: 'hash_password',
      args: alsoHashed === undefined ? args : [...args, `^(?:${alsoHashed})$`],
      mode: 'always',
    } as const;
    return [
      defineTrigger(`zz_hash_${column}`, { ...trigger, timing: 'before' }),
      defineTrigger(`zz_check_${column}`, { ...trigger, timing: 'after' }),
    ];
  });
  return columns.includes('password') ? triggers : [...triggers, leavePasswords(except)];
}

/** A column of this name may well hold what has to be read again, for a mail server: that is for the workspace to say. */
function leavePasswords(except: readonly string[]): TriggerDeclaration {
  const skip =
    "password may have to be read again; if not: configureSecurityPack({ passwords: { columns: ['password'] } })";
  return defineTrigger('zz_hash_password', {
    table: everyTable({ having: { password: null }, lacking: ['password_hash'], except, skip }),
    timing: 'before',
    on: ['insert', 'update'],
    function: 'hash_password',
  });
}

function lockAccounts(lockout: LockoutPolicy, except: readonly string[]): TriggerDeclaration[] {
  const { failedColumn, untilColumn, loginColumn, only, attempts, minutes } = lockout;
  const scope = { except, ...(only && { only }) };
  const having = { [failedColumn]: INTEGER_TYPES, [untilColumn]: MOMENT_TYPES };
  const declare = (table: EveryTable, login: string): TriggerDeclaration =>
    defineTrigger('lock_account', {
      table,
      timing: 'before',
      on: ['insert', 'update'],
      function: 'lock_account',
      args: [failedColumn, untilColumn, login, `${attempts}`, `${minutes}`],
    });
  return [
    declare(everyTable({ ...scope, having: { ...having, [loginColumn]: TIMESTAMP_TYPES } }), loginColumn),
    declare(everyTable({ ...scope, having, lacking: [loginColumn] }), ''),
    declare(everyTable({ ...scope, having: [failedColumn], lacking: [untilColumn], skip: missing(untilColumn) }), ''),
  ];
}

function manageSessions(sessions: SessionPolicy, except: readonly string[]): TriggerDeclaration[] {
  const { userColumn: user, expiresColumn: expires, revokedColumn: revoked, createdColumn: created, only } = sessions;
  const scope = { only, except };
  const having = { [user]: null, [expires]: MOMENT_TYPES, [revoked]: MOMENT_TYPES };
  return [
    ...onSessions(sessions, everyTable({ ...scope, having: { ...having, [created]: MOMENT_TYPES } }), created),
    ...onSessions(sessions, everyTable({ ...scope, having, lacking: [created] }), ''),
    ...[user, revoked].flatMap((column) => {
      const others = [user, expires, revoked].filter((each) => each !== column);
      const table = everyTable({ ...scope, having: others, lacking: [column], skip: missing(column) });
      return onSessions({ ...sessions, limit: null }, table, '');
    }),
    ...onSessions(
      { ...sessions, limit: null },
      everyTable({ having, except: [...except, ...only], skip: NOT_NAMED }),
      '',
    ),
  ];
}

const NOT_NAMED =
  "it has the columns of sessions, but not the name; if it holds any: configureSecurityPack({ sessions: { only: ['schema.table'] } }); if not: except";

function onSessions(
  { userColumn: user, expiresColumn: expires, revokedColumn: revoked, minutes, maximumMinutes, limit }: SessionPolicy,
  table: EveryTable,
  created: string,
): TriggerDeclaration[] {
  const managing = defineTrigger('manage_session', {
    table,
    timing: 'before',
    on: ['insert', 'update'],
    function: 'manage_session',
    args: [expires, revoked, created, `${minutes}`, `${maximumMinutes}`],
  });
  if (limit === null) return [managing];
  const limiting = defineTrigger('limit_sessions', {
    table,
    timing: 'after',
    on: ['insert', 'update'],
    updateOf: [user],
    function: 'limit_sessions',
    args: [user, expires, revoked, created, `${limit}`],
  });
  return [managing, limiting];
}

function missing(column: string): string {
  return `it has no column ${column}`;
}

import { join } from 'node:path';
import { packageRoot } from '../../services/package-root.js';
import { defineTrigger, type TriggerDeclaration } from './declaration.js';
import { type EveryTable, everyTable } from './every-table.js';
import type { TriggerPack } from './pack.js';
import {
  type LockoutPolicy,
  type PasswordPolicy,
  type SecurityPolicy,
  type SessionPolicy,
  securityPolicy,
} from './security-policy.js';

const TEXT_TYPES = ['text', 'character varying', 'character'];
const INTEGER_TYPES = ['integer', 'bigint', 'smallint'];
/** Without a time zone, it would depend on the session's whether a moment has passed. */
const MOMENT_TYPES = ['timestamp with time zone'];
const TIMESTAMP_TYPES = [...MOMENT_TYPES, 'timestamp without time zone'];

/** The security pack: passwords are hashed, accounts locked and sessions ended, on every table that has the columns. */
export function securityPack(policy: SecurityPolicy = securityPolicy({})): TriggerPack {
  const { functionSchema, except, passwords, lockout, sessions } = policy;
  const parts = [
    passwords === null ? [] : hashPasswords(passwords, except),
    lockout === null ? [] : lockAccounts(lockout, except),
    sessions === null ? [] : guardSessions(sessions, except),
  ];
  const declarations = policy.enabled ? parts.flat() : [];
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

/** Two triggers a column: one that hashes, and one that looks whether a later trigger has undone it. */
function hashPasswords(passwords: PasswordPolicy, except: readonly string[]): TriggerDeclaration[] {
  const { columns, only, cost, hashes, otherHashes } = passwords;
  const triggers = columns.flatMap((column, index) => {
    const suffix = index === 0 ? '' : `_in_${column}`;
    const args = [column, `${cost}`, hashes.join(',')];
    const trigger = {
      table: everyTable({ having: { [column]: TEXT_TYPES }, except, ...(only && { only }) }),
      on: ['insert', 'update'],
      function: 'hash_password',
      args: otherHashes === undefined ? args : [...args, `^(?:${otherHashes})$`],
      mode: 'always',
    } as const;
    return [
      defineTrigger(`hash_password${suffix}`, { ...trigger, timing: 'before' }),
      defineTrigger(`check_password_hash${suffix}`, { ...trigger, timing: 'after' }),
    ];
  });
  return columns.includes('password') ? triggers : [...triggers, leavePasswords(except)];
}

/** A column of this name may well hold what has to be read again, for a mail server: that is for the workspace to say. */
function leavePasswords(except: readonly string[]): TriggerDeclaration {
  const skip =
    "password may have to be read again; if not: configureSecurityPack({ passwords: { columns: ['password'] } })";
  return defineTrigger('hash_password', {
    table: everyTable({ having: { password: null }, lacking: ['password_hash'], except, skip }),
    timing: 'before',
    on: ['insert', 'update'],
    function: 'hash_password',
  });
}

function lockAccounts(lockout: LockoutPolicy, except: readonly string[]): TriggerDeclaration[] {
  const { failures, lockedUntil, lastLogin, only, limit, minutes } = lockout;
  const scope = { except, ...(only && { only }) };
  const having = { [failures]: INTEGER_TYPES, [lockedUntil]: MOMENT_TYPES };
  const declare = (table: EveryTable, login: string): TriggerDeclaration =>
    defineTrigger('lock_account', {
      table,
      timing: 'before',
      on: ['insert', 'update'],
      function: 'lock_account',
      args: [failures, lockedUntil, login, `${limit}`, `${minutes}`],
    });
  return [
    declare(everyTable({ ...scope, having: { ...having, [lastLogin]: TIMESTAMP_TYPES } }), lastLogin),
    declare(everyTable({ ...scope, having, lacking: [lastLogin] }), ''),
    declare(everyTable({ ...scope, having: [failures], lacking: [lockedUntil], skip: missing(lockedUntil) }), ''),
  ];
}

function guardSessions(sessions: SessionPolicy, except: readonly string[]): TriggerDeclaration[] {
  const { user, expires, revoked, created, only } = sessions;
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
  ];
}

function onSessions(
  { user, expires, revoked, hours, maximumHours, limit }: SessionPolicy,
  table: EveryTable,
  created: string,
): TriggerDeclaration[] {
  const guard = defineTrigger('guard_session', {
    table,
    timing: 'before',
    on: ['insert', 'update'],
    function: 'guard_session',
    args: [expires, revoked, created, `${hours}`, `${maximumHours}`],
  });
  if (limit === null) return [guard];
  const limiting = defineTrigger('limit_sessions', {
    table,
    timing: 'after',
    on: ['insert', 'update'],
    updateOf: [user],
    function: 'limit_sessions',
    args: [user, expires, revoked, created, `${limit}`],
  });
  return [guard, limiting];
}

function missing(column: string): string {
  return `it has no column ${column}`;
}

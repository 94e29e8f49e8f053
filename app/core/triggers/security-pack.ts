import { join } from 'node:path';
import { packageRoot } from '../../services/package-root.js';
import { defineTrigger, type TriggerDeclaration } from './declaration.js';
import { everyTable } from './every-table.js';
import type { TriggerPack } from './pack.js';
import { type PasswordPolicy, type SecurityPolicy, securityPolicy } from './security-policy.js';

const TEXT_TYPES = ['text', 'character varying', 'character'];

/** The security pack: passwords are hashed, on every table that has the columns. */
export function securityPack(policy: SecurityPolicy = securityPolicy({})): TriggerPack {
  const { enabled, functionSchema, except, passwords } = policy;
  const declarations = enabled ? [...(passwords === null ? [] : hashPasswords(passwords, except))] : [];
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
    const scope = { table: everyTable({ having: { [column]: TEXT_TYPES }, except, ...(only && { only }) }) };
    const suffix = index === 0 ? '' : `_in_${column}`;
    const args = [column, `${cost}`, hashes.join(',')];
    const trigger = {
      ...scope,
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

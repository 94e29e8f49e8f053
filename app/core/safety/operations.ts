import type { Level } from '../levels.js';

/** What an operation does to a database, and what it takes to be allowed. */
export interface OperationDefinition {
  /** The least level of the login. A dry run needs no more than `operator`. */
  readonly level: Level;
  /** `read`: changes nothing; `write`: adds or replaces; `destroy`: what was there can be lost. */
  readonly effect: 'read' | 'write' | 'destroy';
  /** Whether the kill switch blocks it. */
  readonly isKillSwitched: boolean;
  /** Whether it wants to know first which database that is; what says so, or stops others, does not. */
  readonly needsStamp: boolean;
  /**
   * `ceremony`: as much as the protection of the database demands; `full`: the whole of it, whatever the database is;
   * `reason`: a reason is enough, anywhere.
   */
  readonly consent: 'ceremony' | 'full' | 'reason';
  /** Whether its attempts and outcomes are written into the operation log. */
  readonly isLogged: boolean;
  /** Whether it has a dry run, which says what would be done and does nothing. */
  readonly canDryRun: boolean;
  /** Whether it can begin although the database does not exist. */
  readonly mayCreateDatabase: boolean;
  /** Whether no consent lets it touch a protected database. */
  readonly isForOpenOnly: boolean;
}

const base = {
  needsStamp: true,
  consent: 'ceremony',
  canDryRun: false,
  mayCreateDatabase: false,
  isForOpenOnly: false,
} as const;
const read = { ...base, level: 'viewer', effect: 'read', isKillSwitched: false, isLogged: false } as const;
const write = { ...base, level: 'admin', effect: 'write', isKillSwitched: true, isLogged: true } as const;
const destroy = { ...write, effect: 'destroy' } as const;

/** The one table of all operations that reach a database. What is not in it cannot pass the gate. */
export const OPERATIONS = {
  'inspect-db': read,
  'check-database': read,
  whoami: read,
  'show-operation-log': read,
  'verify-operation-log': read,
  'kill-switch-status': read,
  'verify-audit-log': read,
  'show-audit-coverage': read,
  'list-db-triggers': read,
  'verify-db-triggers': read,
  'diff-db-triggers': read,
  'compare-db': read,
  'propose-masking': read,
  'check-masking': read,
  // also when there is nothing but a previous database left
  'list-previous-databases': { ...read, mayCreateDatabase: true },
  // changes nothing, but what leaves the database is on record
  'create-backup': { ...read, isLogged: true },
  // so does this: what it makes on the server is a database of its own, which is gone when it has ended
  'verify-backup': { ...read, isLogged: true, mayCreateDatabase: true },
  // so does this, for those who own what is copied
  'read-for-copy': { ...read, isLogged: true, canDryRun: true },
  'show-all-migrations': read,
  'lint-db-migration': read,
  // these run on databases of their own, which are gone when they have ended
  'create-db-migration': { ...read, isLogged: true },
  'rehearse-db-migration': { ...read, isLogged: true },
  'test-db-migration': { ...read, isLogged: true, mayCreateDatabase: true },
  // what they do beyond those databases, they do to the server, in earnest
  'create-db-migration-server-wide': destroy,
  'rehearse-db-migration-server-wide': destroy,
  'test-db-migration-server-wide': { ...destroy, mayCreateDatabase: true },
  'apply-db-migration': { ...write, canDryRun: true },
  'rollback-db-migration': { ...destroy, canDryRun: true },
  'redo-db-migration': { ...destroy, canDryRun: true },
  'baseline-db-migration': { ...write, canDryRun: true },
  'initialize-db': { ...write, mayCreateDatabase: true },
  'apply-db-triggers': { ...write, canDryRun: true },
  'heal-db-triggers': { ...write, canDryRun: true },
  'enable-db-trigger': { ...write, level: 'operator' },
  'disable-db-trigger': { ...write, level: 'operator' },
  'drop-db-trigger': destroy,
  // rolls back what it writes, but locks the real tables, and what the triggers do outside of the database stays done
  'test-db-triggers': { ...write, level: 'operator', isForOpenOnly: true },
  'restore-backup': { ...destroy, mayCreateDatabase: true },
  // what a protected environment holds, in a database that need not be protected itself
  'restore-unmasked-backup': { ...destroy, consent: 'full', mayCreateDatabase: true },
  'undo-restore': { ...destroy, mayCreateDatabase: true },
  'copy-db': { ...destroy, mayCreateDatabase: true, canDryRun: true },
  // as for a backup: what a protected environment holds, as it is
  'copy-db-unmasked': { ...destroy, consent: 'full', mayCreateDatabase: true, canDryRun: true },
  'undo-copy': { ...destroy, mayCreateDatabase: true },
  // a database that is gone is no reason to keep all that was backed up of it, and none to lose it lightly
  'prune-backups': { ...destroy, mayCreateDatabase: true },
  'reset-database': { ...destroy, mayCreateDatabase: true },
  'drop-all-tables': destroy,
  'stamp-database': { ...write, needsStamp: false },
  'setup-db-roles': write,
  'grant-db-role': write,
  'revoke-db-role': write,
  // stopping everything must be possible at once, and neither way may lie behind the switch itself
  'engage-kill-switch': { ...write, level: 'operator', isKillSwitched: false, needsStamp: false, consent: 'reason' },
  'release-kill-switch': { ...write, isKillSwitched: false, needsStamp: false },
} as const satisfies Record<string, OperationDefinition>;

export type OperationName = keyof typeof OPERATIONS;

/** The words after `manage_db` that ask for an operation. */
export function commandOf(operation: OperationName): string {
  switch (operation) {
    case 'kill-switch-status':
      return 'kill-switch status';
    case 'heal-db-triggers':
      return 'verify-db-triggers --fix';
    case 'restore-unmasked-backup':
      return 'restore-backup --unmasked';
    case 'read-for-copy':
      return 'copy-db --from';
    case 'copy-db-unmasked':
      return 'copy-db --unmasked';
    case 'propose-masking':
      return 'masking init';
    case 'check-masking':
      return 'masking check';
    case 'rehearse-db-migration':
      return 'apply-db-migration --rehearse';
    case 'create-db-migration-server-wide':
      return 'create-db-migration --allow-server-wide';
    case 'rehearse-db-migration-server-wide':
      return 'apply-db-migration --rehearse --allow-server-wide';
    case 'test-db-migration-server-wide':
      return 'test-db-migration --allow-server-wide';
    case 'engage-kill-switch':
      return 'kill-switch engage';
    case 'release-kill-switch':
      return 'kill-switch release';
    default:
      return operation;
  }
}

/** An operation as it stands in the typed text: `APPLY_DB_TRIGGERS`. */
export function spelledOut(operation: OperationName): string {
  return operation.toUpperCase().replaceAll('-', '_');
}

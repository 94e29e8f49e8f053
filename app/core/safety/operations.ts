/** What an operation does to a database. */
export interface OperationDefinition {
  /** `read`: changes nothing; `write`: adds or replaces; `destroy`: what was there can be lost. */
  readonly effect: 'read' | 'write' | 'destroy';
  /** Whether it has a dry run, which says what would be done and does nothing. */
  readonly canDryRun: boolean;
  /** Whether it can begin although the database does not exist. */
  readonly mayCreateDatabase: boolean;
}

const read = { effect: 'read', mayCreateDatabase: false, canDryRun: false } as const;
const write = { effect: 'write', mayCreateDatabase: false, canDryRun: false } as const;
const destroy = { effect: 'destroy', mayCreateDatabase: false, canDryRun: false } as const;

/** The one table of all operations that reach a database. What is not in it cannot pass the gate. */
export const OPERATIONS = {
  'inspect-db': read,
  'check-database': read,
  'create-backup': read,
  'initialize-db': { ...write, mayCreateDatabase: true },
  'apply-db-triggers': { ...write, canDryRun: true },
  'restore-backup': { ...destroy, mayCreateDatabase: true },
  'reset-database': { ...destroy, mayCreateDatabase: true },
  'drop-all-tables': destroy,
} as const satisfies Record<string, OperationDefinition>;

export type OperationName = keyof typeof OPERATIONS;

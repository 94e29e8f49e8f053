/** What the rows of one of manage_db's own tables are about. */
type Subject =
  /** One database and what was done with it: of a copy, they are about another one. */
  | 'database'
  /** What the schema manage_db itself is. */
  | 'installation'
  /** What has been applied, by names of files. */
  | 'history'
  /** What is installed, with its text as it was then. */
  | 'definitions';

const SUBJECTS: Readonly<Record<string, Subject>> = {
  identity: 'database',
  operation_log: 'database',
  operation_log_head: 'database',
  kill_switch: 'database',
  access_roles: 'database',
  schema_versions: 'installation',
  migrations: 'history',
  migration_journal: 'history',
  trigger_functions: 'definitions',
  trigger_registry: 'definitions',
};

/** What the rows of a table of the schema manage_db are about; `null` for one that is none of ours. */
export function subjectOf(table: string): Subject | null {
  return SUBJECTS[table] ?? null;
}

/** manage_db's records of what is in a database; the others are of the database itself, or of its schema manage_db. */
export const OF_CONTENTS: readonly Subject[] = ['history', 'definitions'];

/** The tables whose rows are about `subjects`, by name; all of them where nothing is said. */
export function ownTables(...subjects: readonly Subject[]): readonly string[] {
  return Object.keys(SUBJECTS).filter(
    (table) => subjects.length === 0 || subjects.some((subject) => SUBJECTS[table] === subject),
  );
}

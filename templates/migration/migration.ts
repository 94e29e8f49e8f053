import type { MigrationDb } from 'manage_db';

// What it does: {{title}}
//
// Each function runs in one transaction: all of it or nothing. For what cannot run in one (create index concurrently …):
// export const transaction = false;

export async function up(db: MigrationDb): Promise<void> {
  // await db.query('alter table clinic.patients add column phone text');
}

/** What takes it back. Leave the function out where nothing does. */
export async function down(db: MigrationDb): Promise<void> {
  // await db.query('alter table clinic.patients drop column phone');
}

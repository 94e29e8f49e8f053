import type { Argv } from 'yargs';

/** A trigger as a line names it: `note_email --table clinic.users`. */
export interface TriggerArgument {
  readonly name: string;
  readonly table: string;
}

/** Declares it; a name alone is not enough, every table may have a trigger of that name. */
export function declareTrigger(yargs: Argv): Argv {
  return yargs
    .positional('name', { type: 'string', demandOption: true, describe: 'The name of the trigger' })
    .option('table', {
      type: 'string',
      requiresArg: true,
      demandOption: true,
      describe: 'Its table, as schema.table or by a name that is unique',
    });
}

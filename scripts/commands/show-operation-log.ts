import type { LoggedOperation, OperationEvent, ShownOperationLog } from '../../app/core/db-operations/operation-log.js';
import { ManageDbError } from '../../app/core/errors.js';
import { defineCommand } from '../command.js';
import { moment } from '../moment.js';
import type { Paint } from '../presenters/paint.js';
import { printable } from '../presenters/printable.js';
import { renderTable } from '../presenters/table.js';
import { formatDuration } from '../presenters/units.js';
import { waitingWarnings } from '../presenters/waiting-entries.js';

interface Args {
  readonly since?: string;
  readonly until?: string;
  readonly operation?: string;
  readonly event?: OperationEvent;
  readonly actor?: string;
  readonly limit?: number;
  readonly csv?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    ['show-operation-log --env production --since 7d', 'what was attempted in the last week'],
    ['show-operation-log --event denied --json', 'what was refused'],
    ['show-operation-log --env production --limit 100000 --csv > log.csv', 'for a spreadsheet'],
  ],
  builder: (yargs) =>
    yargs
      .option('since', {
        type: 'string',
        requiresArg: true,
        describe: 'From then on: 2026-11-21T08:00 (UTC), or 2h, 7d ago',
      })
      .option('until', { type: 'string', requiresArg: true, describe: 'Before then' })
      .option('operation', { type: 'string', requiresArg: true, describe: 'Only this one, such as restore-backup' })
      .option('event', {
        choices: ['attempted', 'denied', 'succeeded', 'failed', 'interrupted'] as const,
        describe: 'Only these entries',
      })
      .option('actor', { type: 'string', requiresArg: true, describe: 'Only of this person or login' })
      .option('limit', { type: 'number', requiresArg: true, describe: 'The newest so many (50)' })
      .option('csv', { type: 'boolean', describe: 'All columns as comma-separated values' }),
  async run({ since, until, operation, event, actor, limit, csv }, context) {
    if (csv && context.isJson) {
      throw new ManageDbError('USAGE', 'Either --csv or --json.', { hint: 'Leave one of them out.' });
    }
    const { showOperationLog } = await import('../../app/core/db-operations/operation-log.js');
    const shown = await showOperationLog({
      ...context.operation,
      since: since === undefined ? undefined : moment(since, '--since'),
      until: until === undefined ? undefined : moment(until, '--until'),
      operation,
      event,
      actor,
      limit,
    });
    const stringify = csv ? (await import('csv-stringify/sync')).stringify : null;
    return {
      data: shown,
      warnings: warningsOf(shown),
      isVerbatim: csv === true,
      text: (paint) => (stringify === null ? describe(shown.entries, paint) : asCsv(shown.entries, stringify)),
    };
  },
});

function warningsOf({ pending, refused, hasLog }: ShownOperationLog): readonly string[] {
  return [
    ...(hasLog ? [] : ['This database has no operation log yet, or this login may not read it.']),
    ...waitingWarnings({ pending, refused }),
  ];
}

function describe(entries: readonly LoggedOperation[], paint: Paint): string {
  if (entries.length === 0) return 'Nothing was logged.';
  const color = {
    attempted: paint.dim,
    denied: paint.yellow,
    succeeded: paint.green,
    failed: paint.red,
    interrupted: paint.yellow,
  };
  return renderTable(
    paint,
    ['id', 'when', 'event', 'operation', 'by', 'reason', 'took', ''],
    entries.map((entry) => [
      entry.id,
      entry.occurredAt.replace(/\.\d+Z$/, 'Z'),
      color[entry.event](entry.event),
      printable(entry.operation),
      printable(whoseAttempt(entry)),
      shortened(entry.reason),
      entry.durationMs === null ? null : formatDuration(entry.durationMs),
      typeof entry.details.code === 'string'
        ? printable(entry.details.code)
        : entry.source === 'file'
          ? 'added later'
          : '',
    ]),
    [0],
  );
}

function shortened(text: string | null): string | null {
  if (text === null) return null;
  return printable(text.length > 40 ? `${text.slice(0, 39)}…` : text);
}

/** In the order of the table. */
/** An entry that was added later has the login of whoever added it; whose attempt it was is in its details. */
function whoseAttempt({ actor, login, source, details }: LoggedOperation): string {
  const own = source === 'file' && typeof details.login === 'string' ? details.login : login;
  return actor === own ? actor : `${actor} (${own})`;
}

const COLUMNS = [
  'id',
  'entryId',
  'attempt',
  'event',
  'operation',
  'environment',
  'database',
  'host',
  'port',
  'level',
  'actor',
  'login',
  'osUser',
  'clientHost',
  'application',
  'tool',
  'reason',
  'arguments',
  'details',
  'durationMs',
  'occurredAt',
  'recordedAt',
  'source',
  'previousHash',
  'hash',
] as const satisfies readonly (keyof LoggedOperation)[];

function asCsv(entries: readonly LoggedOperation[], stringify: typeof import('csv-stringify/sync').stringify): string {
  const rows = entries.map((entry) => ({
    ...entry,
    arguments: JSON.stringify(entry.arguments),
    details: JSON.stringify(entry.details),
  }));
  // a spreadsheet executes what begins with = + - @
  return stringify(rows, { header: true, columns: [...COLUMNS], escape_formulas: true }).trimEnd();
}

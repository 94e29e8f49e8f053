import type { EmbeddedStatus } from '../../app/services/embedded-postgres.js';
import { defineCommand } from '../command.js';
import type { Paint } from '../presenters/paint.js';
import { renderTable } from '../presenters/table.js';
import { formatAge, formatBytes } from '../presenters/units.js';

interface Args {
  readonly action: 'start' | 'stop' | 'status';
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    ['embedded-db start', 'start it now; every command starts it by itself when it is needed'],
    ['embedded-db status', 'where it is, and where its data and its log are'],
    ['embedded-db stop', 'stop it; the data stay'],
  ],
  builder: (yargs) =>
    yargs.positional('action', {
      choices: ['start', 'stop', 'status'] as const,
      demandOption: true,
      describe: 'What to do with it',
    }),
  async run({ action }, { workspace, operation }) {
    const server = await import('../../app/services/embedded-postgres.js');
    if (action === 'stop') {
      const result = await server.stopEmbeddedServer(workspace, operation);
      return {
        data: result,
        text: (paint) =>
          result.stopped ? `${paint.green('✓')} stopped (pid ${result.pid}); the data stay` : 'It was not running.',
      };
    }
    if (action === 'start') await server.startEmbeddedServer(workspace, operation);
    const status = await server.embeddedServerStatus(workspace);
    return { data: status, text: (paint) => describe(status, paint) };
  },
});

function describe(status: EmbeddedStatus, paint: Paint): string {
  const state = status.running ? paint.green(status.state) : paint.yellow(status.state);
  const rows: [string, string | number | null][] = [
    ['state', state],
    ['version', status.version === null ? null : `PostgreSQL ${status.version}`],
    ['address', status.port === null ? null : `127.0.0.1:${status.port}`],
    ['pid', status.pid],
    ['started', status.startedAt === null ? null : formatAge(status.startedAt)],
    ['data', status.dataDirectory],
    ['size', status.sizeBytes === null ? null : formatBytes(status.sizeBytes)],
    ['log', status.logFile],
  ];
  const table = renderTable(paint, ['embedded server', ''], rows);
  return status.running
    ? table
    : `${table}\n\nIt starts by itself when a command needs it, or now: manage_db embedded-db start`;
}

import type {
  MigrationCounts,
  MigrationMatrix,
  MigrationState,
  ShownMigration,
  ShownMigrations,
} from '../../app/core/db-operations/show-migrations.js';
import type { Paint } from './paint.js';
import { type Cell, renderTable } from './table.js';
import { formatAge, formatCount, formatDuration } from './units.js';

export interface Style {
  readonly paint: Paint;
  /** Shows every row, also the long run of those that are applied. */
  readonly isVerbose: boolean;
  /** What goes behind a command so that it is about the same environment. */
  readonly flags?: string;
}

/** So many applied ones in a row are shown; of a longer run, only the last. */
const LONGEST_RUN = 8;
const SHOWN_OF_RUN = 3;
const SHOWN_IN_PLACE = 5;

/** One environment's migrations as a table, how many are in which state, and what to do about it. */
export function renderMigrations(shown: ShownMigrations, style: Style): string {
  const { migrations, migrationsFolder, counts } = shown;
  const { paint } = style;
  if (migrations.length === 0) return nothing(migrationsFolder);
  const rows = collapsed(migrations, style, {
    isQuiet: ({ state, statementsDone }) => state === 'applied' && statementsDone === null,
    row: (migration): Cell[] => [
      migration.version,
      migration.name,
      stateOf(migration, paint),
      migration.appliedAt === null ? null : formatAge(new Date(migration.appliedAt)),
      migration.durationMs === null || migration.isBaseline ? null : formatDuration(migration.durationMs),
      migration.actor,
    ],
    more: (count) => ['…', paint.dim(`${formatCount(count)} more`), paint.dim('applied'), '', '', ''],
  });
  return [
    renderTable(paint, ['version', 'name', 'state', 'since', 'took', 'by'], rows, [4]),
    '',
    summaryOf(counts),
    ...adviceOn(shown, style),
  ].join('\n');
}

/** Migrations by environments. */
export function renderMigrationMatrix(
  { environments, migrations, migrationsFolder }: MigrationMatrix,
  style: Style,
): string {
  const { paint } = style;
  if (environments.length === 0) return 'No environment has a database yet: manage_db initialize-db makes one.';
  if (migrations.length === 0) {
    return environments.some(({ reachable }) => reachable) ? nothing(migrationsFolder) : 'No environment has answered.';
  }
  const answered = environments.filter(({ reachable }) => reachable).map(({ name }) => name);
  const rows = collapsed(migrations, style, {
    isQuiet: ({ states }) => answered.every((name) => states[name] === 'applied'),
    row: ({ version, name, states }): Cell[] => [
      version,
      name,
      ...environments.map((environment) =>
        environment.reachable ? stateCell(states[environment.name] ?? null, paint) : paint.yellow('unreachable'),
      ),
    ],
    more: (count) => [
      '…',
      paint.dim(`${formatCount(count)} more`),
      ...environments.map(({ reachable }) => (reachable ? paint.dim('applied') : paint.yellow('unreachable'))),
    ],
  });
  const width = Math.max(...environments.map(({ name }) => name.length));
  return [
    renderTable(paint, ['version', 'name', ...environments.map(({ name }) => name)], rows),
    '',
    ...environments.map(
      ({ name, counts }) =>
        `${name.padEnd(width)}  ${counts === null ? paint.yellow('unreachable') : summaryOf(counts)}`,
    ),
  ].join('\n');
}

interface Collapsing<T> {
  /** There is nothing to see in it. */
  readonly isQuiet: (item: T) => boolean;
  readonly row: (item: T) => readonly Cell[];
  /** The row that stands for so many. */
  readonly more: (count: number) => readonly Cell[];
}

/** The rows of `items`; of a long run of quiet ones, the last, below how many more there are. */
function collapsed<T>(items: readonly T[], { isVerbose }: Style, { isQuiet, row, more }: Collapsing<T>) {
  const rows: (readonly Cell[])[] = [];
  let run: T[] = [];
  const endRun = (): void => {
    const hidden = isVerbose || run.length <= LONGEST_RUN ? 0 : run.length - SHOWN_OF_RUN;
    if (hidden > 0) rows.push(more(hidden));
    rows.push(...run.slice(hidden).map(row));
    run = [];
  };
  for (const item of items) {
    if (isQuiet(item)) {
      run.push(item);
      continue;
    }
    endRun();
    rows.push(row(item));
  }
  endRun();
  return rows;
}

function stateOf({ state, isBaseline, statementsDone, inPlace }: ShownMigration, paint: Paint): string {
  if (inPlace !== null) return paint.red(`${inWords(state)}, ${inPlace.isWhole ? 'in place' : 'partly in place'}`);
  if (statementsDone !== null) return paint.red(`begun, ${statementsDone} done`);
  return state === 'applied' && isBaseline
    ? `${paint.green('applied')} ${paint.dim('(baseline)')}`
    : (stateCell(state, paint) ?? '');
}

function stateCell(state: MigrationState | null, paint: Paint): string | null {
  if (state === null) return null;
  const color = {
    applied: paint.green,
    pending: paint.yellow,
    out_of_order: paint.red,
    edited: paint.red,
    missing: paint.red,
  } as const;
  return color[state](inWords(state));
}

function inWords(state: MigrationState): string {
  return state.replaceAll('_', ' ');
}

function summaryOf(counts: MigrationCounts): string {
  const parts = (Object.entries(counts) as [MigrationState, number][])
    .filter(([state, count]) => count > 0 || state === 'pending')
    .map(([state, count]) => `${count === 0 ? 'none' : formatCount(count)} ${inWords(state)}`);
  return parts.join(', ');
}

/** What to type or to do next, for each state that wants something. */
function adviceOn({ migrations, counts, recordableUpTo }: ShownMigrations, { paint, flags = '' }: Style) {
  const { pending, edited, missing, out_of_order } = counts;
  const inPlace = migrations.filter((migration) => migration.inPlace !== null);
  const advice = [
    ...inPlace.slice(0, SHOWN_IN_PLACE).map(inPlaceAdvice),
    ...(inPlace.length > SHOWN_IN_PLACE ? [`in place: ${formatCount(inPlace.length - SHOWN_IN_PLACE)} more`] : []),
    ...(recordableUpTo === null
      ? []
      : [`if they were applied, record it: manage_db baseline-db-migration --to ${recordableUpTo}${flags}`]),
    ...(edited > 0 ? ['edited: put the file back as it was (git checkout), and make the change a new migration'] : []),
    ...(missing > 0
      ? ['missing: it is applied here, and has no file; get the newest state of the folder (git pull)']
      : []),
    ...(out_of_order > inPlace.filter(({ state }) => state === 'out_of_order').length
      ? ['out of order: not applied, and a later one is; give the file a later version']
      : []),
    ...(pending > 0 && inPlace.length === 0 ? [`pending: manage_db apply-db-migration${flags}`] : []),
  ];
  return advice.map((line) => `${paint.cyan('→')} ${line}`);
}

function inPlaceAdvice({ version, name, inPlace }: ShownMigration): string {
  const { objects = [], isWhole = true } = inPlace ?? {};
  const [first = '', ...more] = objects;
  const what = `${first}${more.length === 0 ? '' : ` and ${formatCount(more.length)} more`}`;
  return isWhole
    ? `in place: what ${version}_${name} makes is there already (${what}), and it is not recorded as applied`
    : `partly in place: ${version}_${name} cannot be applied, some of what it makes is there already (${what})`;
}

function nothing(folder: string | null): string {
  return folder === null
    ? 'The workspace has no folder of migrations. Make one: manage_db init'
    : `There are no migrations in ${folder}. Make one: manage_db create-db-migration NAME`;
}

import type { FiringTable } from '../../../../database/catalog/firing-tables.js';
import type { LeftOutParts } from '../../backup/left-out-parts.js';
import type { Entry } from '../../database-state/contents.js';
import { readEncodings, rowFormat } from './copy-statements.js';
import type { Lane } from './lane.js';
import { copyLargeObjects } from './large-objects.js';
import type { MakeEntry } from './make-entry.js';
import type { Order } from './order.js';
import { CopyProgress } from './progress.js';
import type { ChosenTable } from './source-tables.js';
import type { CopiedTable, Filling } from './stream-copy.js';
import { tableTasks } from './table-work.js';
import { runTasks, type Task } from './tasks.js';

export interface RowsToCopy {
  readonly filling: Filling;
  readonly lanes: readonly [Lane, ...Lane[]];
  readonly tables: readonly ChosenTable[];
  readonly order: Order;
  readonly make: MakeEntry;
  readonly parts: LeftOutParts;
  /** With triggers that are there before the rows: the tables on which they fire. `null`: they come after the rows. */
  readonly firingTables: readonly FiringTable[] | null;
}

/**
 * Copies all rows and large objects, and makes the indexes and keys of each table when its rows are there; where triggers are to fire,
 * everything is made before: the tables on which none does come first, so that what triggers write comes behind what was there, and
 * then one by one the others.
 */
export async function copyRows(work: RowsToCopy): Promise<readonly CopiedTable[]> {
  const { filling, lanes, tables, order, make, parts, firingTables } = work;
  const { copy, source, stop } = filling;
  const encodings = await readEncodings(source.db, lanes[0].target);
  const withRows = tables.filter(({ isEmpty }) => !isEmpty);
  const bytes = withRows.reduce((sum, { table }) => sum + table.bytes, 0);
  const progress = new CopyProgress({ tables: withRows.length, bytes }, copy.controls.onProgress);
  const copied: CopiedTable[] = [];
  const partsOf = ({ definedAs }: ChosenTable) => order.early.get(definedAs) ?? { keys: [], indexes: [] };
  const tasksFor = (chosen: ChosenTable, fires: boolean): readonly Task<Lane>[] => {
    const { table, isEmpty, selected, sessions } = chosen;
    return tableTasks({
      ...(firingTables === null ? partsOf(chosen) : { keys: [], indexes: [] }),
      ...{ table, sessions: fires ? 1 : sessions, isComplete: firingTables !== null, fires, make, progress },
      format: isEmpty ? null : async (lane) => rowFormat(await lane.source(), table, { selected, encodings }),
      isSecret: selected !== null,
      onCopied: (one) => copied.push(one),
    });
  };
  const largeObjects: Task<Lane> = {
    // how many bytes they are is not known, and one after the other they take long
    weight: Number.POSITIVE_INFINITY,
    run: async (lane) => {
      const onCopied = (count: number) => progress.say(`copying large objects (${count})`);
      await copyLargeObjects(await lane.source(), lane.target, { parts, onCopied });
      return [];
    },
  };
  const { largeObjects: areLeftOut, rows } = copy.leaveOut;
  const withTriggers = firingTables === null ? [] : inOrder(withRows, firingTables);
  const withoutTriggers = tables.filter((chosen) => !withTriggers.includes(chosen));
  try {
    if (firingTables !== null) await makeBeforeRows(work, tables.map(partsOf));
    await runTasks(
      [
        ...(areLeftOut || rows === 'all' ? [] : [largeObjects]),
        ...withoutTriggers.flatMap((one) => tasksFor(one, false)),
      ],
      lanes,
      stop,
    );
    for (const one of withTriggers) await runTasks(tasksFor(one, true), [lanes[0]], stop);
  } finally {
    progress.stop();
  }
  return copied;
}

/** Indexes first: triggers look things up, and may rely on what is unique. */
async function makeBeforeRows(
  { filling, lanes, order, make }: RowsToCopy,
  parts: readonly { readonly keys: readonly Entry[]; readonly indexes: readonly Entry[] }[],
): Promise<void> {
  const tasks = parts.map(({ keys, indexes }) => ({
    weight: keys.length + indexes.length,
    run: async (lane: Lane) => {
      for (const entry of [...keys, ...indexes]) await make(lane, entry);
      return [];
    },
  }));
  await runTasks(tasks, lanes, filling.stop);
  for (const entry of order.triggers) await make(lanes[0], entry);
}

/** Those of them on which triggers fire, after the tables that they refer to as far as there is such an order. */
function inOrder(tables: readonly ChosenTable[], firingTables: readonly FiringTable[]): readonly ChosenTable[] {
  const refersTo = new Map(firingTables.map(({ oid, refersTo: others }) => [oid, others]));
  const byOid = new Map(tables.map((chosen) => [chosen.definedAs, chosen]));
  const ordered = new Set<ChosenTable>();
  const seen = new Set<number>();
  const add = (oid: number): void => {
    const [chosen, others] = [byOid.get(oid), refersTo.get(oid)];
    if (chosen === undefined || others === undefined || seen.has(oid)) return;
    seen.add(oid);
    for (const other of others) add(other);
    ordered.add(chosen);
  };
  for (const { definedAs } of tables) add(definedAs);
  return [...ordered];
}

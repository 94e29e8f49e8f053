import type { OperationOptions } from '../safety/gate.js';
import { type ListedTriggers, readTriggerSnapshot, type TriggerDiff, type TriggerSnapshot } from './trigger-drift.js';

/** The triggers of a database at one moment, for a program that asks more than once. */
export class TriggerRegistry {
  private constructor(private readonly snapshot: TriggerSnapshot) {}

  /**
   * Reads them.
   *
   * @throws ManageDbError as `listTriggers`
   * @example const missing = (await TriggerRegistry.read({ env: 'production' })).dropped();
   */
  static async read(options: OperationOptions = {}): Promise<TriggerRegistry> {
    return new TriggerRegistry(await readTriggerSnapshot(options));
  }

  list(): ListedTriggers['triggers'] {
    return this.snapshot.triggers;
  }

  /** Those that fire, in ordinary sessions or others. */
  enabled(): ListedTriggers['triggers'] {
    return this.snapshot.triggers.filter(({ mode }) => mode !== null && mode !== 'disabled');
  }

  disabled(): ListedTriggers['triggers'] {
    return this.snapshot.triggers.filter(({ mode }) => mode === 'disabled');
  }

  /** @param table `'users'` in any schema, or `'clinic.users'` */
  forTable(table: string): ListedTriggers['triggers'] {
    return this.snapshot.triggers.filter((one) => one.table === table || `${one.schema}.${one.table}` === table);
  }

  drifted(): ListedTriggers['triggers'] {
    return this.snapshot.triggers.filter(({ isDrift }) => isDrift);
  }

  inSync(): ListedTriggers['triggers'] {
    return this.snapshot.triggers.filter(({ state }) => state === 'in_sync');
  }

  unknown(): ListedTriggers['triggers'] {
    return this.snapshot.triggers.filter(({ state }) => state === 'unknown');
  }

  dropped(): ListedTriggers['triggers'] {
    return this.snapshot.triggers.filter(({ state }) => state === 'dropped');
  }

  /** What the drifted ones should be and what they are, as unified patches. */
  diff(): readonly TriggerDiff[] {
    return this.snapshot.diffs;
  }

  /** Whether nothing has to be done, and what has to be done otherwise. */
  validate(): { readonly ok: boolean; readonly recommendations: readonly string[] } {
    const drifted = this.drifted();
    const { problems } = this.snapshot;
    return {
      ok: drifted.length === 0 && problems.length === 0,
      recommendations: [
        ...problems,
        ...drifted.map((one) => `${one.schema}.${one.table} ${one.name}: ${one.recommendation}`),
      ],
    };
  }
}

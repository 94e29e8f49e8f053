import type { OperationOptions } from '../safety/gate.js';
import type { TriggerReport } from '../triggers/drift.js';
import { diffTriggers, type ListedTriggers, listTriggers, type TriggerDiff } from './trigger-drift.js';

/** The triggers of a database at one moment, for a program that asks more than once. */
export class TriggerRegistry {
  private constructor(
    private readonly triggers: readonly TriggerReport[],
    private readonly diffs: readonly TriggerDiff[],
  ) {}

  /**
   * Reads them.
   *
   * @throws ManageDbError as `listTriggers`
   * @example const missing = (await TriggerRegistry.read({ env: 'production' })).dropped();
   */
  static async read(options: OperationOptions = {}): Promise<TriggerRegistry> {
    const { triggers } = await listTriggers(options);
    const isInOrder = triggers.every(({ isDrift }) => !isDrift);
    return new TriggerRegistry(triggers, isInOrder ? [] : (await diffTriggers(options)).diffs);
  }

  list(): ListedTriggers['triggers'] {
    return this.triggers;
  }

  /** Those that fire, in ordinary sessions or others. */
  enabled(): ListedTriggers['triggers'] {
    return this.triggers.filter(({ mode }) => mode !== null && mode !== 'disabled');
  }

  disabled(): ListedTriggers['triggers'] {
    return this.triggers.filter(({ mode }) => mode === 'disabled');
  }

  /** @param table `'users'` in any schema, or `'clinic.users'` */
  forTable(table: string): ListedTriggers['triggers'] {
    return this.triggers.filter((one) => one.table === table || `${one.schema}.${one.table}` === table);
  }

  drifted(): ListedTriggers['triggers'] {
    return this.triggers.filter(({ isDrift }) => isDrift);
  }

  inSync(): ListedTriggers['triggers'] {
    return this.triggers.filter(({ state }) => state === 'in_sync');
  }

  unknown(): ListedTriggers['triggers'] {
    return this.triggers.filter(({ state }) => state === 'unknown');
  }

  dropped(): ListedTriggers['triggers'] {
    return this.triggers.filter(({ state }) => state === 'dropped');
  }

  /** What the drifted ones should be and what they are, as unified patches. */
  diff(): readonly TriggerDiff[] {
    return this.diffs;
  }

  /** Whether nothing has to be done, and what has to be done otherwise. */
  validate(): { readonly ok: boolean; readonly recommendations: readonly string[] } {
    const drifted = this.drifted();
    return {
      ok: drifted.length === 0,
      recommendations: drifted.map((one) => `${one.schema}.${one.table} ${one.name}: ${one.recommendation}`),
    };
  }
}

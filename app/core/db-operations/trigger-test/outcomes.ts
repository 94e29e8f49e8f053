import type { TestableTrigger } from '../../../database/catalog/testable-triggers.js';
import type { TriggerEvent } from '../../../database/catalog/triggers.js';
import type { Calls } from './calls.js';
import type { Stop } from './stopped-by.js';

export type TestState = 'fired' | 'did_not_fire' | 'failed' | 'not_tested';

/** What came of one event of a trigger. */
export interface TestedEvent {
  readonly event: TriggerEvent;
  readonly state: TestState;
  /** Why, in a sentence; `null` where there is nothing to add. */
  readonly detail: string | null;
  /** How long the trigger took, as PostgreSQL measured it. */
  readonly milliseconds: number | null;
}

type Result = Omit<TestedEvent, 'event'>;

const NOT_TESTED: Result = {
  state: 'not_tested',
  detail: 'No statement could be made that would fire it.',
  milliseconds: null,
};

/** What is known of the triggers of one event, while one statement after the other is tried. */
export class Outcomes {
  private readonly results = new Map<TestableTrigger, Result>();
  /** Called, and not willing to let the row pass. */
  private readonly refusals = new Set<TestableTrigger>();
  /** Failed for a reason that lies in the row. */
  private readonly data = new Set<TestableTrigger>();

  constructor(
    readonly triggers: readonly TestableTrigger[],
    private readonly isRowCertain: boolean,
  ) {}

  /** Those that nothing is known of, or nothing final. */
  pending(): readonly TestableTrigger[] {
    return this.triggers.filter((trigger) => {
      const state = this.results.get(trigger)?.state;
      return !(state === 'fired' && !this.refusals.has(trigger)) && !this.isBroken(trigger);
    });
  }

  /** @param isWhole it had a row, and would have been committed: who was not called then, had a reason of its own */
  executed(calls: Calls, isWhole: boolean): void {
    for (const trigger of this.triggers) {
      if (this.isBroken(trigger)) continue;
      if (calls.has(trigger)) {
        this.refusals.delete(trigger);
        this.data.delete(trigger);
        this.set(trigger, 'fired', null, calls.get(trigger) ?? null);
      } else if (isWhole && this.isOpen(trigger)) this.set(trigger, 'did_not_fire', whyNot(trigger));
    }
  }

  stopped({ triggers, kind, message }: Stop): void {
    for (const trigger of this.triggers) {
      if (!triggers.includes(trigger)) {
        if (this.isOpen(trigger)) {
          const names = triggers.map(({ name }) => name).join(' or ');
          this.set(trigger, 'not_tested', `The statement was stopped before, by the trigger ${names}: ${message}`);
        }
      } else if (kind === 'broken') this.set(trigger, 'failed', message);
      else if (!this.isOpen(trigger)) continue;
      else if (kind === 'refusal') {
        this.refusals.add(trigger);
        this.set(trigger, 'fired', `It refused the statement: ${message}`);
      } else {
        this.data.add(trigger);
        if (this.isRowCertain) this.set(trigger, 'failed', message);
        else this.set(trigger, 'not_tested', `It could not work with the row that was generated: ${message}`);
      }
    }
  }

  /** Nobody's fault: the statement could not be made, or the table did not take the row. */
  unusable(reason: string): void {
    for (const trigger of this.triggers) {
      if (this.results.get(trigger) === undefined) this.set(trigger, 'not_tested', reason);
    }
  }

  of(trigger: TestableTrigger): Result {
    return this.results.get(trigger) ?? NOT_TESTED;
  }

  private isBroken(trigger: TestableTrigger): boolean {
    return this.results.get(trigger)?.state === 'failed' && !this.data.has(trigger);
  }

  private isOpen(trigger: TestableTrigger): boolean {
    const state = this.results.get(trigger)?.state;
    return state !== 'fired' && state !== 'failed';
  }

  private set(
    trigger: TestableTrigger,
    state: TestState,
    detail: string | null,
    milliseconds: number | null = null,
  ): void {
    this.results.set(trigger, { state, detail, milliseconds });
  }
}

function whyNot({ when, level, timing }: TestableTrigger): string {
  if (when !== null) return `Its condition was never met: ${when.slice(1, -1)}.`;
  if (level === 'row' && timing !== 'instead of') {
    return 'A BEFORE trigger kept the row from being written, or another one kept it from being called.';
  }
  return 'The statement was executed, and PostgreSQL did not call it.';
}

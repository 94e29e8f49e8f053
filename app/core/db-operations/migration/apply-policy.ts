import { type Extent, stepsUp } from './choose-steps.js';
import type { RunPolicy } from './migration-run.js';
import type { Situation } from './plan.js';
import { demandRehearsal } from './rehearse/demand-rehearsal.js';
import { refuseOtherHistory, type Tolerance } from './states.js';

export interface ApplyChoice extends Extent {
  /** Also those that are older than one that is applied; else what the settings say. */
  readonly allowOutOfOrder?: boolean | undefined;
  /** Also where files of applied migrations are missing; else what the settings say. */
  readonly allowMissing?: boolean | undefined;
  /** Only what the rehearsal with this checksum has shown. */
  readonly rehearsal?: string | undefined;
}

/**
 * How pending migrations are applied, by whichever operation.
 *
 * @param isDemanding whether what the settings demand beforehand counts: not for a look, and not for a database without anything in it
 */
export function applyPolicy(choice: ApplyChoice, isDemanding: boolean): RunPolicy {
  const refuse = (situation: Situation) => refuseOtherHistory(situation.statuses, toleranceOf(situation, choice));
  return {
    choose: (situation) => {
      refuse(situation);
      return stepsUp(situation.statuses, choice);
    },
    judge: refuse,
    ...(isDemanding
      ? { demand: (target, { rules }, steps) => demandRehearsal(target, steps, { rules, checksum: choice.rehearsal }) }
      : {}),
  };
}

function toleranceOf({ rules }: Situation, { allowOutOfOrder, allowMissing }: ApplyChoice): Tolerance {
  return { outOfOrder: allowOutOfOrder ?? rules.allowOutOfOrder, missing: allowMissing ?? rules.allowMissing };
}

/** What the lines of a test say in the Test Anything Protocol, which pgTAP speaks. */
export interface TapOutcome {
  /** `null`: no line is one of TAP. */
  readonly planned: number | null;
  readonly passed: number;
  /** The lines that say so, with what is said about them. */
  readonly failures: readonly string[];
  readonly isTap: boolean;
}

const RESULT = /^(not )?ok\b(?: +\d+)?(?: +- +| +)?(.*)$/;
const PLAN = /^1\.\.(\d+)/;
const BAILED_OUT = /^Bail out!/;

/** Reads lines as a server gives them: one row may have several, and what belongs to subtests is indented. */
export function readTap(rows: readonly string[]): TapOutcome {
  const lines = rows.flatMap((row) => row.split('\n'));
  const failures: string[] = [];
  let planned: number | null = null;
  let passed = 0;
  let isLastFailed = false;
  let isTap = false;
  for (const line of lines) {
    const plan = PLAN.exec(line)?.[1];
    const result = RESULT.exec(line);
    if (plan !== undefined) planned = Number(plan);
    if (plan !== undefined || result !== null) isTap = true;
    if (result !== null) {
      // what is still to be done fails without harm
      isLastFailed = result[1] !== undefined && !/# *TODO\b/i.test(line);
      if (isLastFailed) failures.push(line);
      else passed += 1;
    } else if (BAILED_OUT.test(line)) failures.push(line);
    else if (isLastFailed && line.startsWith('#')) failures.push(`${failures.pop()}\n${line}`);
  }
  return { planned, passed, failures, isTap };
}

/** What is wrong with the whole: fewer tests, or more, than were planned. */
export function judgePlan({ planned, passed, failures, isTap }: TapOutcome): string | null {
  if (!isTap) return null;
  const ran = passed + failures.filter((line) => line.startsWith('not ok')).length;
  if (planned === null) return 'no plan was given: select plan(…) first, or select * from no_plan()';
  return planned === ran ? null : `${planned} were planned, and ${ran} ran`;
}

/** A trigger that was declared and is not applied, and why. `*` where no single schema is meant. */
export interface Skipped {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly reason: string;
}

/** A function whose file was not executed, and why. */
export interface SkippedFunction {
  readonly schema: string;
  readonly name: string;
  readonly reason: string;
}

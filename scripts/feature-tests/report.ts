import * as z from '../../app/core/schema.js';

const errorSchema = z.object({
  /** One of manage_db's codes, or `UNEXPECTED`: what was found is not as it should be. */
  code: z.string(),
  message: z.string(),
  /** What to type next. */
  hint: z.nullable(z.string()),
});

const countsSchema = z.object({ passed: z.int(), failed: z.int(), skipped: z.int() });

const testSchema = z.object({
  name: z.string(),
  /** `installation`: what is the user's own, only looked at; `library` and `cli`: on scratch databases. */
  subject: z.enum(['installation', 'library', 'cli']),
  outcome: z.enum(['passed', 'failed', 'skipped']),
  durationMs: z.number(),
  /** What was found, or why it was skipped. */
  detail: z.nullable(z.string()),
  error: z.nullable(errorSchema),
});

const categorySchema = z.object({
  name: z.string(),
  /** Nothing of it has failed. */
  ok: z.boolean(),
  durationMs: z.number(),
  counts: countsSchema,
  tests: z.array(testSchema),
});

/** What a run of the feature tests says of itself to programs. */
export const reportSchema = z.object({
  version: z.literal(1),
  /** Of manage_db. */
  manageDbVersion: z.string(),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  durationMs: z.number(),
  workspace: z.string(),
  environment: z.nullable(z.string()),
  database: z.nullable(z.object({ host: z.string(), port: z.int(), name: z.string() })),
  serverVersion: z.nullable(z.string()),
  /** Why features were not tested on scratch databases; `null`: they were. */
  readOnlyBecause: z.nullable(z.string()),
  /** Every category was tested, nothing has failed, and nothing is left that should be gone. */
  ok: z.boolean(),
  /** Whether it was stopped (Ctrl-C): what comes after is not in it. */
  interrupted: z.boolean(),
  counts: countsSchema,
  categories: z.array(categorySchema),
  /** Databases that killed runs had left. */
  swept: z.array(z.string()),
  /** Databases of this run, dropped at its end. */
  dropped: z.array(z.string()),
  /** Databases of this run that could not be dropped, and why; `manage_db_feature_…_*` where the server did not answer any more. */
  notDropped: z.array(z.object({ name: z.string(), reason: z.string() })),
  /** Those that `--keep` has left. */
  kept: z.array(z.string()),
  /** The file with every command and its output. */
  log: z.string(),
});

export type FeatureTestReport = z.infer<typeof reportSchema>;
export type CategoryReport = z.infer<typeof categorySchema>;
export type TestReport = z.infer<typeof testSchema>;
export type Counts = z.infer<typeof countsSchema>;

export function countOutcomes(tests: readonly Pick<TestReport, 'outcome'>[]): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { outcome } of tests) counts[outcome] += 1;
  return counts;
}

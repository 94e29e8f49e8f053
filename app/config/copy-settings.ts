import type { ClientBase } from 'pg';
import * as z from '../core/schema.js';

/** What acts on the outside by itself, wherever it is copied to. */
export const QUARANTINE_KINDS = ['subscriptions', 'cron-jobs', 'user-mappings', 'foreign-secrets'] as const;
export type QuarantineKind = (typeof QUARANTINE_KINDS)[number];

/** What a column can be set to. */
export type QuarantineValue = string | number | boolean | null;

/** What becomes of rows that somebody or something would act on. */
export type QuarantinedRows = {
  /** A condition in SQL; `null`: all rows. */
  readonly where: string | null;
} & (
  | { readonly action: 'delete' }
  | { readonly action: 'set'; readonly set: Readonly<Record<string, QuarantineValue>> }
);

export interface QuarantineSettings {
  /** By table, as it is written in the configuration file. */
  readonly rows: Readonly<Record<string, QuarantinedRows>>;
  /** Of what is disarmed by itself, what stays as it is. */
  readonly keep: readonly QuarantineKind[];
}

/** What a function of `afterCopy` is given. */
export interface CopiedDatabase {
  /** In the copy, which nobody else can reach yet, and in a transaction that is committed when the function is done. */
  readonly client: Pick<ClientBase, 'query'>;
  /** The environment that was copied. */
  readonly from: string;
  /** The environment that the copy is for. */
  readonly to: string;
  /** What the copy will be called; while the function runs it has another name. */
  readonly database: string;
  /** Aborted when the copy is interrupted. */
  readonly signal: AbortSignal;
}

/** An SQL file, relative to the workspace, or a function. */
export type AfterCopyHook = string | ((copy: CopiedDatabase) => unknown);

/** What is done with a copy before anybody can reach it. */
export interface CopySettings {
  readonly quarantine: QuarantineSettings;
  /** In this order. */
  readonly afterCopy: readonly AfterCopyHook[];
}

const sqlText = z.string().check(z.refine((text) => text.trim() !== '', { error: 'it is empty' }));

const rowsSchema = z
  .strictObject({
    where: z.optional(sqlText.check(z.describe('A condition in SQL; without it, all rows.'))),
    delete: z.optional(z.literal(true).check(z.describe('These rows are deleted.'))),
    set: z.optional(
      z.record(z.string().check(z.minLength(1)), z.union([z.string(), z.number(), z.boolean(), z.null()])).check(
        z.refine((set) => Object.keys(set).length > 0, { error: 'it names no column' }),
        z.describe('These columns of the rows are set to these values.'),
      ),
    ),
  })
  .check(
    z.refine(({ delete: isDeleted, set }) => (isDeleted === undefined) !== (set === undefined), {
      error: 'it needs either delete: true, or set with columns and their values',
    }),
  );

/** `copy` of an environment in the configuration file. */
export const copySchema = z.strictObject({
  quarantine: z.optional(
    z.strictObject({
      rows: z.optional(
        z
          .record(z.string().check(z.minLength(1)), rowsSchema)
          .check(
            z.describe(
              'By table: rows that are deleted or changed in a copy, such as an outbox; either `delete` or `set`.',
            ),
          ),
      ),
      keep: z.optional(
        z.array(z.enum(QUARANTINE_KINDS)).check(z.describe('Of what is disarmed by itself, what stays as it is.')),
      ),
    }),
  ),
  afterCopy: z.optional(
    z
      .array(
        z.union([sqlText, z.custom<(copy: CopiedDatabase) => unknown>((value) => typeof value === 'function')], {
          error: 'it must be the path of an SQL file, or a function',
        }),
      )
      .check(
        z.describe(
          'SQL files, relative to the workspace, or functions that run in the copy before anybody can reach it.',
        ),
      ),
  ),
});

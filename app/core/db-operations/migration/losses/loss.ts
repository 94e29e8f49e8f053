/** What kind of loss it is. `unforeseen`: nobody can know before it is done. */
export type LossKind =
  | 'dropped_table'
  | 'dropped_column'
  | 'dropped_materialized_view'
  | 'dropped_sequence'
  | 'dropped_database'
  | 'deleted_rows'
  | 'updated_rows'
  | 'truncated_rows'
  | 'changed_values'
  | 'unforeseen';

/** Something that is gone when a statement has been executed. */
export interface Loss {
  readonly kind: LossKind;
  /** `public.patients.phone`; `null` for what is not foreseen. */
  readonly object: string | null;
  /** Rows, or values of a column; `null`: not counted. */
  readonly rows: number | null;
  /** From statistics, because counting would have taken too long, waited for a lock, or was not allowed. */
  readonly isEstimate: boolean;
  /** `drops 41,203 non-null values of patients.phone` */
  readonly sentence: string;
  /** Absolute. */
  readonly file: string;
  /** Of the statement. */
  readonly line: number | null;
}

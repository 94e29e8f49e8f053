/** What is selected from a table for one of its columns. */
export interface SelectedColumn {
  readonly column: string;
  /** SQL, evaluated by the source. */
  readonly expression: string;
}

/** A table of which somebody decides what is selected. */
export interface TableToSelect {
  readonly schema: string;
  readonly name: string;
  /** Those that it has now, without generated ones. */
  readonly columns: readonly string[];
}

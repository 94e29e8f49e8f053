/** What long work tells the one who started it. Nothing here prints. */
export interface ProgressEvent {
  /** What is being done, in the present tense: `applying migrations/…_core.sql`. */
  readonly step: string;
  readonly done?: number;
  readonly total?: number;
}

/** The two things that every long operation accepts. */
export interface OperationControls {
  readonly onProgress?: (event: ProgressEvent) => void;
  readonly signal?: AbortSignal;
}

import type { OperationName } from './operations.js';

/** What the caller says of its own will. */
export interface Consent {
  /** `--yes`: enough where nothing is protected. */
  readonly yes?: boolean;
  /** `--confirm`: the typed text, see `confirmationText`. */
  readonly confirm?: string;
  readonly reason?: string;
}

/** What a person at a terminal is asked before an operation, when the flags did not say it already. */
export interface ConsentQuestion {
  readonly operation: OperationName;
  /** `yes`: an answer is enough; `typed`: exactly `text` must be typed. */
  readonly kind: 'yes' | 'typed';
  readonly text: string;
  /** One sentence: what would happen, to which database. */
  readonly summary: string;
  /** Whether a reason is wanted that the flags have not given. */
  readonly asksReason: boolean;
}

/** Asks a person. `null`: declined. Only where there is a person: without one the gate refuses. */
export type AskConsent = (question: ConsentQuestion, signal?: AbortSignal) => Promise<Consent | null>;

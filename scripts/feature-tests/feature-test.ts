import type { Installation } from './installation.js';
import type { FeatureTestLog } from './log-file.js';
import type { ScratchWorkspace } from './scratch-workspace.js';

/** What has to be there before a test of the installation says anything. */
export type Need = 'nothing' | 'environment' | 'configuration' | 'database';

interface Running {
  readonly signal: AbortSignal;
  readonly log: FeatureTestLog;
  /** Says in the report what was found. */
  readonly note: (text: string) => void;
}

export interface InstallationRunning extends Running {
  readonly installation: Installation;
  /** The selected environment. */
  readonly env: string;
}

export interface ScratchRunning extends Running {
  readonly scratch: ScratchWorkspace;
}

/** `installation`: what is the user's own, only looked at; `library` and `cli`: features, on scratch databases. */
export type FeatureTest = { readonly name: string } & (
  | {
      readonly subject: 'installation';
      readonly needs: Need;
      readonly run: (running: InstallationRunning) => Promise<void>;
    }
  | {
      readonly subject: 'library' | 'cli';
      readonly needsClientTools: boolean;
      readonly run: (running: ScratchRunning) => Promise<void>;
    }
);

interface ScratchTestOptions {
  /** It starts pg_dump, pg_restore or psql; of a category that needs them all tests do. */
  readonly needsClientTools?: boolean;
}

type DeclareScratchTest = (
  name: string,
  run: (running: ScratchRunning) => Promise<void>,
  options?: ScratchTestOptions,
) => void;

/** What a category is told to test, in this order. */
export interface Suite {
  readonly installation: (name: string, needs: Need, run: (running: InstallationRunning) => Promise<void>) => void;
  /** Brings the scratch workspace where its tests begin; without it nothing but its files is there. */
  readonly prepare: (run: (running: ScratchRunning) => Promise<void>) => void;
  /** Its run is inside of the scratch workspace. */
  readonly library: DeclareScratchTest;
  readonly cli: DeclareScratchTest;
}

export interface Tests {
  readonly tests: readonly FeatureTest[];
  readonly prepare: ((running: ScratchRunning) => Promise<void>) | null;
}

/** The tests that `declare` declares. */
export function testsOf(declare: (suite: Suite) => void, needsClientTools: boolean): Tests {
  const tests: FeatureTest[] = [];
  let prepare: Tests['prepare'] = null;
  const scratch =
    (subject: 'library' | 'cli'): DeclareScratchTest =>
    (name, run, options = {}) =>
      tests.push({ name, subject, needsClientTools: needsClientTools || options.needsClientTools === true, run });
  declare({
    installation: (name, needs, run) => tests.push({ name, subject: 'installation', needs, run }),
    prepare: (run) => {
      prepare = run;
    },
    library: (name, run, options) =>
      scratch('library')(name, (running) => running.scratch.inside(() => run(running)), options),
    cli: scratch('cli'),
  });
  return { tests, prepare };
}

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Category } from './categories.js';
import { NotTested } from './expectations.js';
import type { Tests } from './feature-test.js';
import type { FeatureTestLog } from './log-file.js';
import type { ScratchServer } from './scratch-server.js';
import { newScratchWorkspace, type ScratchWorkspace } from './scratch-workspace.js';

/** Where a run has its databases and its files. */
export interface ScratchPlace {
  readonly server: ScratchServer;
  readonly folder: string;
}

/** There should be a place, and it could not be made. */
export interface NoScratchPlace {
  readonly problem: unknown;
}

interface CategoryWorkspaceOptions {
  readonly category: Category;
  readonly prepare: Tests['prepare'];
  /** `null`: nothing may be created. */
  readonly place: ScratchPlace | NoScratchPlace | null;
  readonly log: FeatureTestLog;
  readonly signal: AbortSignal;
}

/** The scratch workspace of one category, made when its first test wants it. */
export class CategoryWorkspace {
  private workspace: ScratchWorkspace | null = null;
  private failed = false;
  private signal: AbortSignal;

  constructor(private readonly options: CategoryWorkspaceOptions) {
    this.signal = options.signal;
  }

  /** It could not be made, and its first test has said why. */
  get isBroken(): boolean {
    return this.failed;
  }

  get hasPlace(): boolean {
    return this.options.place !== null;
  }

  /** @param signal of the test that runs: it stops the commands that are started in the workspace from now on */
  async ready(signal: AbortSignal): Promise<ScratchWorkspace> {
    this.signal = signal;
    if (this.workspace !== null) return this.workspace;
    const { place, category, prepare, log } = this.options;
    if (place === null) throw new NotTested('there is no server for scratch databases');
    try {
      if ('problem' in place) throw place.problem;
      const { server, folder } = place;
      const root = join(folder, category.name);
      mkdirSync(root, { mode: 0o700 });
      const workspace = await newScratchWorkspace(server, () => ({ folder: root, log, signal: this.signal }));
      if (prepare !== null)
        await workspace.inside(() => prepare({ scratch: workspace, log, signal, note: () => undefined }));
      this.workspace = workspace;
      return workspace;
    } catch (error) {
      this.failed = true;
      throw error;
    }
  }
}

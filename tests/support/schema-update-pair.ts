import {
  type ApplyingOptions,
  applySchemaUpdate,
  type PlanningOptions,
  planSchemaUpdate,
  type SchemaUpdatePlan,
} from '../../app/core/db-operations/copy/schema-update.js';
import { guarded, type Target } from '../../app/core/safety/gate.js';
import { type ScratchDatabase, scratchDatabase, withClient } from './scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from './scratch-workspace.js';
import { stampAs } from './stamp.js';

/** Two databases of one workspace: `testing` as it should be, `development` as it is. */
export interface SchemaUpdatePair {
  readonly from: ScratchDatabase;
  readonly to: ScratchDatabase;
  readonly workspace: ScratchWorkspace;
  readonly onBoth: <T>(work: (from: Target, to: Target) => Promise<T>) => Promise<T>;
  readonly plan: (options?: PlanningOptions) => Promise<SchemaUpdatePlan>;
  /** Plans, waits for `between`, and does what was planned. */
  readonly update: (
    options?: ApplyingOptions,
    between?: () => Promise<unknown>,
    planning?: PlanningOptions,
  ) => ReturnType<typeof applySchemaUpdate>;
  readonly remove: () => Promise<void>;
}

/** @param wanted what makes `testing` @param present what makes `development` */
export async function schemaUpdatePair(wanted: string, present: string): Promise<SchemaUpdatePair> {
  const [from, to] = [await scratchDatabase(wanted), await scratchDatabase(present)];
  const workspace = scratchWorkspace({
    '.env.testing': `TESTING_DATABASE_URL='${from.url}'\n`,
    '.env.development': `DEVELOPMENT_DATABASE_URL='${to.url}'\n`,
  });
  await withClient(to.url, (client) => stampAs(client, 'development'));
  const onBoth: SchemaUpdatePair['onBoth'] = (work) =>
    workspace.run(() =>
      guarded('compare-db', { env: 'testing' }, (ours) =>
        guarded('restore-backup', { env: 'development', consent: { yes: true } }, (theirs) => work(ours, theirs)),
      ),
    );
  return {
    ...{ from, to, workspace, onBoth },
    plan: (options = {}) => onBoth((ours, theirs) => planSchemaUpdate(ours, theirs, options)),
    update: (options = {}, between = () => Promise.resolve(), planning = {}) =>
      onBoth(async (ours, theirs) => {
        const planned = await planSchemaUpdate(ours, theirs, planning);
        await between();
        return applySchemaUpdate(theirs, planned, options);
      }),
    async remove() {
      await workspace.remove();
      await from.drop();
      await to.drop();
    },
  };
}

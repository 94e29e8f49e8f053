import { expect } from 'chai';
import { type CopyOptions, type CopyResult, copyDatabase } from '../../app/core/db-operations/copy.js';
import type { ManageDbError } from '../../app/core/errors.js';
import { withKillSwitchOverride } from '../../app/core/safety/override.js';
import { dropDatabase, onServer, type ScratchDatabase, scratchDatabase, withClient } from './scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from './scratch-workspace.js';
import { stampAs } from './stamp.js';

type Stamped = 'development' | 'testing' | 'production';

/** Two databases on the test server, each that of an environment of one workspace. */
export interface CopyPair {
  readonly from: Stamped;
  readonly to: Stamped;
  readonly source: ScratchDatabase;
  /** Has one patient of its own, number 99. */
  readonly target: ScratchDatabase;
  readonly workspace: ScratchWorkspace;
  readonly copy: (options?: Partial<CopyOptions>) => Promise<CopyResult>;
  /** The error of a copy, which is expected to fail. */
  readonly failure: (options?: Partial<CopyOptions>) => Promise<ManageDbError>;
  /** The databases that copies have made beside the target: scratch and previous ones. */
  readonly leftovers: () => Promise<string[]>;
  readonly remove: () => Promise<void>;
}

/** @param sql what is in the source */
export async function copyPair(
  sql: string,
  { from = 'testing', to = 'development' }: { readonly from?: Stamped; readonly to?: Stamped } = {},
): Promise<CopyPair> {
  const source = await scratchDatabase(sql);
  const target = await scratchDatabase(
    'create table public.patients (id int primary key); insert into public.patients values (99)',
  );
  await withClient(source.url, (client) => stampAs(client, from));
  await withClient(target.url, (client) => stampAs(client, to));
  const workspace = scratchWorkspace({
    [`.env.${from}`]: `${from.toUpperCase()}_DATABASE_URL=${source.url}\n`,
    [`.env.${to}`]: `${to.toUpperCase()}_DATABASE_URL=${target.url}\n`,
  });
  const copy: CopyPair['copy'] = (options = {}) =>
    workspace.run(() =>
      withKillSwitchOverride({}, () =>
        copyDatabase({ from, to, consent: { yes: true, reason: 'a test' }, ...options }),
      ),
    );
  const leftovers = async (): Promise<string[]> => {
    const { rows } = await onServer((server) =>
      server.query<{ name: string }>(
        `select datname::text as name from pg_database
         where datname like $1 or datname like 'manage\\_db\\_scratch\\_%' order by 1`,
        [`${target.name}_previous_%`],
      ),
    );
    return rows.map(({ name }) => name);
  };
  return {
    ...{ from, to, source, target, workspace, copy, leftovers },
    failure: (options) =>
      copy(options).then(
        () => expect.fail('it succeeded'),
        (error: ManageDbError) => error,
      ),
    async remove() {
      await workspace.remove();
      for (const name of [...(await leftovers()), source.name, target.name]) await dropDatabase(name);
    },
  };
}

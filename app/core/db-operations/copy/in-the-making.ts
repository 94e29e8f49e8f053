import { type Client, escapeIdentifier } from 'pg';
import { QUARANTINE_KINDS } from '../../../config/copy-settings.js';
import { readObservation } from '../../../database/records/observation.js';
import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { type ConnectionOptions, withConnection } from '../../../services/with-connection.js';
import { carryDefinitionRecords } from '../../safety/carry-records.js';
import type { Target } from '../../safety/gate.js';
import { lookForSurprises } from '../database-state/check-contents.js';
import { readDatabaseProperties } from '../database-state/database-properties.js';
import { searchPathOf } from '../database-state/search-path.js';
import type { DatabaseProperties } from '../manifest/manifest.js';
import type { Source } from '../restore/other-environment.js';
import type { Placed } from '../restore/put-in-place.js';
import { readSizeOf } from '../restore/space-needed.js';
import { createScratchDatabase } from '../scratch/scratch-database.js';
import { type RanHook, runAfterCopy } from './after-copy.js';
import { createByTemplate, isSourceInUse } from './by-template.js';
import type { CopyStrategy } from './copy-plan.js';
import { leftAtHome } from './left-at-home.js';
import { MaskedStream } from './masked-stream.js';
import type { PlannedCopy, ReplacingPlan } from './plan.js';
import { type Quarantined, quarantine } from './quarantine/quarantine.js';
import type { CopyRequest } from './request.js';
import { streamInto } from './stream/stream-into.js';

export interface Copying {
  readonly target: Target;
  readonly source: Source;
  readonly planned: PlannedCopy;
  readonly request: CopyRequest;
  readonly reason: string | null;
  /** From here on the database is the copy, whatever fails. */
  readonly onReplaced: () => void;
}

/** A table of a copy. */
export interface CopiedTableRows {
  readonly schema: string;
  readonly name: string;
  /** As both sides counted them; `null` in a copy by template, which counts nothing. */
  readonly rows: number | null;
}

export interface Copied extends Placed {
  /** The one that was carried out. */
  readonly plan: ReplacingPlan;
  readonly strategy: CopyStrategy;
  readonly because: string;
  readonly tables: readonly CopiedTableRows[];
  /** ISO, by the clock of the source: the moment of it that the copy shows. */
  readonly copiedAt: string;
  /** Of the copy, when it was complete. */
  readonly sizeBytes: number | null;
  /** What was disarmed in it. */
  readonly quarantined: Quarantined;
  /** What has run in it before it took its place. */
  readonly hooks: readonly RanHook[];
}

/** A scratch database on its way to be the copy. */
export class CopyInTheMaking {
  copiedAt = new Date().toISOString();
  private plan: ReplacingPlan;
  private warnings: readonly string[] = [];

  constructor(private readonly copying: Copying) {
    this.plan = copying.planned.plan;
  }

  async create(maintenance: Client, tablespace: string | null): Promise<string> {
    const { target, planned, request } = this.copying;
    if (this.plan.strategy === 'template') {
      const source = planned.source.target.database;
      request.controls.onProgress?.({ step: `copying the files of ${source}` });
      try {
        this.copiedAt = await timeOf(maintenance);
        return await createByTemplate(maintenance, { target, source, tablespace, controls: request.controls });
      } catch (error) {
        if (!isSourceInUse(error) || request.strategy === 'template') throw error;
        this.plan = asStream(planned);
        request.onPlan(this.plan);
      }
    }
    return createScratchDatabase(maintenance, planned.source.properties, target.serverMajor ?? 0, tablespace);
  }

  fill(scratch: string, maintenance: Client): Promise<readonly CopiedTableRows[]> {
    return this.plan.strategy === 'template' ? this.open(scratch, maintenance) : this.stream(scratch);
  }

  /** Nobody has reached it yet: what would act on the outside is disarmed, and the users' own work is done in it. */
  async finish(
    scratch: string,
    maintenance: Client,
    tables: readonly CopiedTableRows[],
  ): Promise<Omit<Copied, 'previousDatabase' | 'previousUntil'>> {
    const { target, planned, request } = this.copying;
    const { source, settings, hooks: ready } = planned;
    const { controls, from, to } = request;
    const look = { database: scratch, signal: controls.signal };
    const isOnlyRows = request.part === 'data';
    if (isOnlyRows) await this.keepDefinitionRecords(look);
    // what is defined in a copy of rows is the target's own
    const disarmed = isOnlyRows ? { ...settings.quarantine, keep: QUARANTINE_KINDS } : settings.quarantine;
    const quarantined = await withConnection(target.settings, look, (contents) =>
      quarantine(contents, disarmed, controls),
    );
    const { database } = target;
    const hooks = await runAfterCopy(target.settings, { scratch, database, from, to, hooks: ready, controls });
    const searchPath = searchPathOf(isOnlyRows ? await this.ownProperties(maintenance) : source.properties);
    const warnings = await withConnection(target.settings, look, (contents) =>
      lookForSurprises(contents, { searchPath, environment: target.environment, controls }),
    );
    const sizeBytes = await readSizeOf(maintenance, scratch);
    const { plan, copiedAt } = this;
    const { strategy, because } = plan;
    const kept = isOnlyRows ? [] : quarantined.kept;
    return {
      plan,
      strategy,
      because,
      tables,
      copiedAt,
      sizeBytes,
      quarantined: { ...quarantined, kept },
      hooks,
      warnings: [...this.warnings, ...warnings],
    };
  }

  /** Of the target; of the source, where there is none. */
  private async ownProperties(maintenance: Client): Promise<DatabaseProperties> {
    const { target, planned } = this.copying;
    return (await readDatabaseProperties(maintenance, target.database)) ?? planned.source.properties;
  }

  /** Nothing has been applied or installed but what the target has. */
  private async keepDefinitionRecords(look: ConnectionOptions): Promise<void> {
    const { settings } = this.copying.target;
    await withConnection(settings, {}, async (present) => {
      if (!(await readObservation(present)).hasRecords) return;
      await withConnection(settings, look, (contents) => carryDefinitionRecords(present, contents));
    });
  }

  /** Its grants are known by now. */
  private async open(scratch: string, maintenance: Client): Promise<CopiedTableRows[]> {
    await maintenance.query(`alter database ${escapeIdentifier(scratch)} allow_connections true`);
    return this.copying.planned.source.tables
      .filter(({ schema }) => schema !== 'manage_db')
      .map(({ schema, name }) => ({ schema, name, rows: null }));
  }

  private async stream(scratch: string): Promise<CopiedTableRows[]> {
    const { target, planned, request } = this.copying;
    const { source, masking, rowsOf, parts } = planned;
    const { part, firesTriggers, jobs, controls } = request;
    const targetMajor = target.serverMajor ?? source.serverMajor;
    const masked = masking === null ? null : new MaskedStream(masking);
    // of its own schema only what manage_db makes itself: what else is in it, nobody has looked at
    const isOwnAnew = masking !== null && part !== 'data';
    if (isOwnAnew) await withConnection(target.settings, { database: scratch }, ensureSchema);
    const { tables, at, unpopulated } = await streamInto({
      ...{ source: source.target.settings, target: target.settings, scratch, parts },
      ...{ sourceMajor: source.serverMajor, targetMajor, jobs, controls },
      ...(masked?.options ?? {}),
      ...(part === 'data'
        ? {
            definitionsFrom: { settings: target.settings, major: targetMajor },
            triggers: firesTriggers ? ('before' as const) : ('after' as const),
          }
        : {}),
      leaveOut: {
        largeObjects: masking !== null || part === 'schema',
        rowsOf,
        ...(isOwnAnew ? { schema: 'manage_db' } : {}),
        ...(part === 'schema' ? { rows: 'all' as const } : {}),
        // those of rows alone are the target's own
        ...(masking?.plan.commentsLeftOut && part !== 'data' ? { definitions: ({ kind }) => kind === 'COMMENT' } : {}),
      },
    });
    if (isOwnAnew && masked !== null)
      await withConnection(target.settings, { database: scratch }, (db) => masked.finish(db));
    this.copiedAt = at;
    this.warnings = [
      ...planned.unique.map(leftAtHome),
      ...unpopulated.map((view) => `${view} reads foreign tables and was not computed: refresh it when that is meant.`),
    ];
    return tables
      .filter(({ schema }) => schema !== 'manage_db')
      .map(({ schema, name, rows }) => ({ schema, name, rows }));
  }
}

/** What becomes of a copy by template when somebody comes into the source. */
function asStream({ plan, expectedOfStream: expected, unique }: PlannedCopy): ReplacingPlan {
  return {
    ...{ ...plan, strategy: 'stream', expected },
    because: 'A template is not possible: somebody has come into the source.',
    warnings: [...unique.map(leftAtHome), ...plan.warnings],
  };
}

/** ISO, by the clock of the server. */
async function timeOf(db: Client): Promise<string> {
  const { rows } = await db.query<{ now: Date }>('select pg_catalog.clock_timestamp() as now');
  return (rows[0]?.now ?? new Date()).toISOString();
}

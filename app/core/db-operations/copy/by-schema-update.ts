import type { Client } from 'pg';
import { ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';
import type { CopyPlan } from './copy-plan.js';
import { maskDefinitions } from './masked-copy.js';
import type { CopyRequest } from './request.js';
import { applySchemaUpdate, planSchemaUpdate, type SchemaUpdated } from './schema-update.js';

/** Definitions that have come to a database which keeps its rows. */
export interface UpdatedSchema {
  readonly plan: CopyPlan;
  /** What was done; `null` on a dry run. */
  readonly updated: SchemaUpdated | null;
}

/**
 * Makes the definitions of a database that is there like those of the source.
 *
 * @throws ManageDbError `USAGE` for what is in the way and for rows that would be lost, `DRIFT` for literals that nobody has looked
 *   at, and what planning and applying throw
 */
export async function updateSchema(from: Target, to: Target, request: CopyRequest): Promise<UpdatedSchema> {
  const { controls, withGrants, allowsDataLoss: allowDataLoss, isDryRun, isMasked } = request;
  refuseReplacing(to, request);
  let masking: CopyPlan['masking'] = null;
  const onSnapshot = async (db: Client): Promise<void> => {
    masking = isMasked ? await lookAtLiterals(db, request) : null;
  };
  const planned = await planSchemaUpdate(from, to, { ...controls, withGrants, onSnapshot });
  const plan: CopyPlan = {
    ...{ from: from.environment, to: to.environment, part: 'schema', strategy: 'schema-update' },
    because: `${to.database} is there: it gets the definitions, and keeps its rows.`,
    ...{ expected: null, freeBytes: 'unknown', tables: 0, withoutRows: [], masking },
    update: planned,
    warnings: planned.warnings,
  };
  request.onPlan(plan);
  const updated = isDryRun ? null : await applySchemaUpdate(to, planned, { ...controls, allowDataLoss });
  return { plan, updated };
}

/** Somebody who has asked for a way back by one of these would not have it. */
function refuseReplacing({ database }: Target, { replacing }: CopyRequest): void {
  if (replacing.length === 0) return;
  throw new ManageDbError(
    'USAGE',
    `${database} is there, so --schema-only updates it in place: ${replacing.join(', ')} would do nothing. Nothing was changed.`,
    { hint: 'Leave it out. What is lost is backed up first, where --allow-data-loss lets anything be lost.' },
  );
}

/** The rows stay at home; what somebody has written into the definitions comes along. */
async function lookAtLiterals(db: Client, { rules: file }: CopyRequest): Promise<CopyPlan['masking']> {
  const { plan, rules } = await maskDefinitions(db, file);
  if (plan.commentsLeftOut) {
    throw new ManageDbError('USAGE', 'A schema update makes comments equal, and the masking rules have no comments.', {
      hint: 'Acknowledge the comments by their names instead of "comments: none".',
    });
  }
  return { rules: rules.file, checksum: plan.checksum, columns: 0 };
}

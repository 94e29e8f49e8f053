import type { Diagnostic, FactBase } from '@supabase/pg-delta';
import type { Client } from 'pg';
import { readConstraintTriggerModes } from '../../../database/catalog/constraint-trigger-modes.js';
import { type DefinitionDetail, readDefinitionDetails } from '../../../database/catalog/definition-details.js';
import { inUndoneSavepoint } from '../../../database/in-savepoint.js';
import { qualified } from '../inspection/find-relation.js';

/** Everything that is defined in a database: by pg-delta, and what it does not read. */
export interface Definitions {
  readonly facts: FactBase;
  readonly details: readonly DefinitionDetail[];
  /** What pg-delta could not read, or does not know. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Reads the definitions in the open transaction of `client`, so in its snapshot.
 *
 * @param salt the same for all that are compared with one another
 */
export async function readDefinitions(client: Client, salt: string): Promise<Definitions> {
  const { extract } = await import('@supabase/pg-delta');
  // it sets what it needs for its transaction, which is ours
  const { factBase: facts, diagnostics } = await inUndoneSavepoint(client, () =>
    extract(inOpenTransaction(client) as Parameters<typeof extract>[0]),
  );
  const details = [...(await readDefinitionDetails(client, salt)), ...(await readSwitchedConstraints(client))];
  return { facts, details, diagnostics };
}

/** A pool as pg-delta wants it, whose one connection is in a transaction already. */
function inOpenTransaction(client: Client): unknown {
  const connection = {
    query: (text: string) =>
      /^\s*(begin|commit|rollback)\b/i.test(text) ? Promise.resolve({ rows: [] }) : client.query(plain(text)),
    release: () => undefined,
  };
  return { connect: () => Promise.resolve(connection) };
}

/** Its comments have signs that not every encoding of a server has. */
function plain(text: string): string {
  return text.replace(/^\s*--.*$/gm, (line) => line.replace(/[^\x20-\x7e\s]/g, '*'));
}

/** The triggers of foreign keys and deferrable keys, which have no names of their own. */
async function readSwitchedConstraints(client: Client): Promise<DefinitionDetail[]> {
  const modes = await readConstraintTriggerModes(client);
  return modes.map(({ schema, table, constraint, ofSchema, ofTable, function: called, mode }) => ({
    kind: 'constraint trigger',
    schema,
    relation: table,
    name: `of ${constraint} of ${qualified({ schema: ofSchema, name: ofTable })} on ${qualified({ schema, name: table })}, ${called}`,
    isWhole: false,
    properties: { mode },
  }));
}

import { randomBytes } from 'node:crypto';
import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import { withConnection } from '../../../../services/with-connection.js';
import { findDifferences } from '../../compare/differences.js';
import type { DefinitionDifference, PropertyChange } from '../../compare/found-difference.js';
import { detailsOf, type Part, partOf } from '../../compare/part.js';
import { type Definitions, readDefinitions } from '../../compare/read-definitions.js';

/** A difference between what should be there again and what is there. */
export interface SchemaDifference {
  /** In PostgreSQL's words: `table`, `function`, `index`, `grants`, … */
  readonly kind: string;
  readonly name: string;
  /** `left_over`: it was not there before; `missing`: it was there; `changed`: it is another one. */
  readonly state: 'left_over' | 'missing' | 'changed';
  /** Of what was changed: what differs, `from` as it was. */
  readonly changes: readonly PropertyChange[];
}

/** Everything that is defined in a scratch database at one moment. */
export type SchemaState = Definitions;

/** Where definitions are read again and again, to be compared with one another. */
export interface SchemaReader {
  readonly read: () => Promise<SchemaState>;
  /** What differs in `now` from `before`; parts of what differs as a whole are not named. */
  readonly compare: (before: SchemaState, now: SchemaState) => Promise<readonly SchemaDifference[]>;
}

export interface ReadFrom {
  readonly database: string;
  readonly serverMajor: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Reads the definitions of a database, everything but manage_db's own: tables, functions, triggers with their modes, grants, comments.
 *
 * @example
 * const schema = schemaReader(target.settings, { database: scratch, serverMajor: 15, signal });
 * const before = await schema.read();
 */
export function schemaReader(settings: ConnectionSettings, { database, serverMajor, signal }: ReadFrom): SchemaReader {
  const salt = randomBytes(16).toString('hex');
  const part: Part = {
    selection: null,
    withOwners: true,
    withGrants: true,
    oldestMajor: serverMajor,
    newestMajor: serverMajor,
  };
  return {
    read: () =>
      withConnection(settings, { database, signal }, async (client) => {
        await client.query('begin isolation level repeatable read read only');
        const definitions = await readDefinitions(client, salt);
        await client.query('rollback');
        return definitions;
      }),
    async compare(before, now) {
      const found = await findDifferences({
        from: await partOf(before, part),
        to: await partOf(now, part),
        fromDetails: detailsOf(before, part),
        toDetails: detailsOf(now, part),
      });
      const whole = found.filter(({ isPart }) => !isPart);
      return (whole.length > 0 ? whole : found).map(inTime);
    },
  };
}

const STATES = { only_in_from: 'missing', only_in_to: 'left_over', different: 'changed' } as const;

function inTime({ kind, name, state, changes }: DefinitionDifference): SchemaDifference {
  return { kind, name, state: STATES[state], changes };
}

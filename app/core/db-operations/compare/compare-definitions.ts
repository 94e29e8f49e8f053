import { randomBytes } from 'node:crypto';
import { findDifferences } from './differences.js';
import { encodingDifference } from './encoding-difference.js';
import type { DefinitionDifference } from './found-difference.js';
import { type NotCompared, rolesMissing, undefinedOf } from './incomparable.js';
import { detailsOf, type Part, partOf } from './part.js';
import { type DdlScript, planDdl } from './plan-ddl.js';
import { readDefinitions } from './read-definitions.js';
import { alignQueries } from './same-query.js';
import { onBoth, type Sides } from './side.js';

export interface ComparedDefinitions {
  readonly definitions: {
    /** How many objects of FROM were compared: tables, columns, constraints, grants, comments, each by itself. */
    readonly compared: number;
    readonly differences: readonly DefinitionDifference[];
    readonly ddl: DdlScript;
  };
  readonly notCompared: readonly NotCompared[];
  readonly warnings: readonly string[];
}

/** Everything that is defined in the part, and what would have to be done to make TO like FROM. */
export async function compareDefinitions(sides: Sides, part: Part): Promise<ComparedDefinitions> {
  sides.onProgress({ step: 'comparing definitions' });
  const salt = randomBytes(16).toString('hex');
  const [ours, theirs] = await onBoth(sides, ({ client }) => readDefinitions(client, salt));
  const from = await partOf(ours, part);
  const to = await alignQueries(from, await partOf(theirs, part), part);
  const found = await findDifferences({
    from,
    to,
    fromDetails: detailsOf(ours, part),
    toDetails: detailsOf(theirs, part),
  });
  const differences = [...encodingDifference(sides, part), ...found];
  const ddl = differences.length === 0 ? { statements: [], settings: [], problem: null } : await planDdl(from, to);
  const missing = rolesMissing(ours, theirs);
  const isNamed = differences.length > 0 && (part.withOwners || part.withGrants) && missing.length > 0;
  return {
    definitions: { compared: from.facts().length - from.referenceOnly.size, differences, ddl },
    notCompared: [...undefinedOf(sides.from, ours, part), ...undefinedOf(sides.to, theirs, part)],
    warnings: [
      ...versionWarning(sides, differences),
      ...(isNamed
        ? [
            `The server of ${sides.to.target.environment} lacks roles of ${sides.from.target.environment}: ${missing.join(', ')}.`,
          ]
        : []),
    ],
  };
}

/** The server writes definitions back from what it has understood. */
function versionWarning({ from, to }: Sides, differences: readonly DefinitionDifference[]): string[] {
  if (from.major === to.major || differences.length === 0) return [];
  return [`PostgreSQL ${from.major} and ${to.major} write some definitions differently although they mean the same.`];
}

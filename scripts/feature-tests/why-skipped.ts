import type { CategoryWorkspace } from './category-workspace.js';
import type { FeatureTest } from './feature-test.js';
import type { Installation } from './installation.js';

/** Why a test would say nothing, or only repeat what another one says; `null`: it is run. */
export function whySkipped(test: FeatureTest, installation: Installation, scratch: CategoryWorkspace): string | null {
  return test.subject === 'installation' ? ofInstallation(test, installation) : ofScratch(test, installation, scratch);
}

function ofInstallation(
  test: Extract<FeatureTest, { subject: 'installation' }>,
  { environment, problem, database }: Installation,
): string | null {
  if (test.needs === 'nothing') return null;
  if (environment === null) return 'it cannot be told which environment is active: see the category environment';
  if (problem?.code === 'UNKNOWN_ENVIRONMENT')
    return `${environment} is no environment of this workspace: see the category environment`;
  if (test.needs === 'environment') return null;
  if (problem !== null) return `${environment} has no usable configuration: see the category configuration`;
  if (test.needs === 'configuration') return null;
  if (database.state === 'missing')
    return `${environment} has no database yet: manage_db initialize-db --env ${environment}`;
  return database.state === 'there' ? null : 'the database cannot be reached: see the category connection';
}

function ofScratch(
  test: Extract<FeatureTest, { subject: 'library' | 'cli' }>,
  { readOnlyBecause, toolsProblem }: Installation,
  scratch: CategoryWorkspace,
): string | null {
  if (!scratch.hasPlace) return readOnlyBecause ?? 'there is no server for scratch databases';
  if (test.needsClientTools && toolsProblem !== null)
    return 'the client tools are missing: see the category connection';
  return scratch.isBroken ? 'what it begins with could not be made: see the test before' : null;
}

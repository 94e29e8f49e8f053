// docs/manifest.schema.json, made from what reads manifests.
import { manifestSchema } from '../../app/core/db-operations/manifest/manifest.js';
import { toJSONSchema } from '../../app/core/schema.js';

/** The JSON schema (draft 2020-12) of `manifest.json` in the folder of a backup. */
export function manifestJsonSchema(): object {
  return { title: 'The manifest of a backup of manage_db', ...toJSONSchema(manifestSchema) };
}

// docs/manifest.schema.json, made from what reads manifests: `npm run docs:manifest` writes it, a test compares it.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manifestSchema } from '../../app/core/db-operations/backup/manifest.js';
import { toJSONSchema } from '../../app/core/schema.js';

const FILE = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'docs', 'manifest.schema.json');

/** The JSON schema (draft 2020-12) of `manifest.json` in the folder of a backup. */
export function manifestJsonSchema(): object {
  return { title: 'The manifest of a backup of manage_db', ...toJSONSchema(manifestSchema) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(FILE, `${JSON.stringify(manifestJsonSchema(), null, 2)}\n`);
}

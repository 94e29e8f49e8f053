import type { Client } from 'pg';
import { readAvailableExtensions } from '../../../../database/catalog/rows-at-stake.js';
import { readDefinitions } from '../../compare/read-definitions.js';
import type { PresentSchema } from './update-steps.js';

/** Reads what is defined now, in the open transaction of `client`. */
export async function readPresent(
  client: Client,
  { salt, major }: { readonly salt: string; readonly major: number },
): Promise<PresentSchema> {
  const definitions = await readDefinitions(client, salt);
  return { definitions, major, extensions: await readAvailableExtensions(client) };
}

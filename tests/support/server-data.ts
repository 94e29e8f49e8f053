import { rmSync } from 'node:fs';
import { dirname } from 'node:path';

/** Where the data of embedded servers lie when root starts them, outside their workspace. */
const SYSTEM_FOLDER = '/var/lib/manage_db/';

/** Removes what a stopped embedded server leaves outside its workspace. */
export function removeServerData(dataDirectory: string): void {
  if (dataDirectory.startsWith(SYSTEM_FOLDER)) rmSync(dirname(dataDirectory), { recursive: true, force: true });
}

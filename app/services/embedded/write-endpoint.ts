import { dirname } from 'node:path';
import { type EmbeddedEndpoint, embeddedEndpointFile } from '../../config/embedded-endpoint.js';
import { ManageDbError, messageOf } from '../../core/errors.js';
import { writeFileAtomically } from '../../core/files.js';

/**
 * Remembers the endpoint in `<root>/.manage_db/embedded.json`: readable by its owner only, replaced in one step.
 *
 * @throws UNREADABLE_FILE the file cannot be written.
 * @example
 * writeEmbeddedEndpoint(workspace.root, { ...endpoint, port: 20543 });
 */
export function writeEmbeddedEndpoint(workspaceRoot: string, endpoint: EmbeddedEndpoint): void {
  const { host, port, user, password, dataDirectory, systemIdentifier } = endpoint;
  const content = { host, port, user, password, dataDirectory, systemIdentifier };
  writeSecretFile(embeddedEndpointFile(workspaceRoot), content);
}

/**
 * `content` as JSON in a file of mode 0600, complete or not at all.
 *
 * @throws UNREADABLE_FILE the file cannot be written.
 */
export function writeSecretFile(file: string, content: object): void {
  try {
    writeFileAtomically(file, `${JSON.stringify(content, null, 2)}\n`, 0o600);
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `${file} cannot be written: ${messageOf(error)}`, {
      hint: `Give yourself write permission on ${dirname(file)}.`,
      details: { file },
      cause: error,
    });
  }
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, ManageDbError, messageOf } from '../core/errors.js';

/** Where the workspace's own server listens, and how to log in as its superuser. Holds a secret. */
export interface EmbeddedEndpoint {
  readonly host: '127.0.0.1';
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly dataDirectory: string;
  /** PostgreSQL's system identifier of the cluster: the proof that manage_db created it. `null`: not known. */
  readonly systemIdentifier: string | null;
}

/**
 * The embedded server's endpoint as `<root>/.manage_db/embedded.json` remembers it, or `null` where there is none yet.
 * It says nothing about whether the server runs; `startEmbeddedServer` does, and returns the endpoint that counts.
 *
 * @throws UNREADABLE_FILE the file is there, but may not be read or is not what manage_db wrote.
 * @example
 * const port = readEmbeddedEndpoint(workspace.root)?.port;
 */
export function readEmbeddedEndpoint(workspaceRoot: string): EmbeddedEndpoint | null {
  return readEndpointFile(embeddedEndpointFile(workspaceRoot));
}

export function embeddedEndpointFile(workspaceRoot: string): string {
  return join(workspaceRoot, '.manage_db', 'embedded.json');
}

/** Any file in the endpoint's form; other keys in it are left out. */
export function readEndpointFile(file: string): EmbeddedEndpoint | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw new ManageDbError('UNREADABLE_FILE', `${file}, the embedded server's endpoint, cannot be read.`, {
      hint: 'It belongs to whoever started the server first: run as that user, or configure DEVELOPMENT_DATABASE_URL.',
      details: { file, reason: codeOf(error) ?? messageOf(error) },
      cause: error,
    });
  }
  const endpoint = parseEndpoint(text);
  if (endpoint !== null) return endpoint;
  // No cause: what JSON.parse says quotes the text, and the text holds the password.
  throw new ManageDbError('UNREADABLE_FILE', `${file} is not an endpoint of an embedded server.`, {
    hint: `Delete it; the next command writes it again, and no data are lost: rm '${file}'`,
    details: { file },
  });
}

// By hand and not with zod: this is on the path of every database command.
function parseEndpoint(text: string): EmbeddedEndpoint | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== 'object' || value === null) return null;
  const { host, port, user, password, dataDirectory, systemIdentifier } = value as Record<string, unknown>;
  if (host !== '127.0.0.1' || typeof port !== 'number' || !Number.isInteger(port)) return null;
  if (port < 1 || port > 65_535 || typeof user !== 'string' || typeof password !== 'string') return null;
  if (typeof dataDirectory !== 'string') return null;
  const identifier = typeof systemIdentifier === 'string' ? systemIdentifier : null;
  return { host, port, user, password, dataDirectory, systemIdentifier: identifier };
}

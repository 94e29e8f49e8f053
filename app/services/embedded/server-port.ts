import { createHash, randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { codeOf, ManageDbError } from '../../core/errors.js';

/** Below the range from which systems take the ports of outgoing connections. */
const FIRST_PORT = 20_000;
const PORT_COUNT = 10_000;

/** A port that nobody listens on, the same one for the same workspace where possible. */
export async function chooseFreePort(workspace: string): Promise<number> {
  const seed = createHash('sha256').update(workspace).digest().readUInt32BE(0);
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = FIRST_PORT + (attempt === 0 ? seed % PORT_COUNT : randomInt(PORT_COUNT));
    if (await isPortFree(port)) return port;
  }
  throw new ManageDbError('EMBEDDED_SERVER_FAILED', 'No free port was found for the embedded server.', {
    hint: `Listening on 127.0.0.1, ports ${FIRST_PORT} to ${FIRST_PORT + PORT_COUNT - 1}, must be possible.`,
  });
}

/** Whether the server could listen on the port now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      const code = codeOf(error);
      if (code === 'EADDRINUSE' || code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

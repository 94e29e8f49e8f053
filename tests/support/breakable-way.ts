import { connect, createServer, type Server, type Socket } from 'node:net';

/** A way to a server that can break: a port of its own that leads there. */
export interface BreakableWay {
  readonly port: number;
  /** How many connections have gone through it. */
  readonly count: () => number;
  /** Breaks every connection that there is; new ones get through. */
  readonly cut: () => void;
  readonly close: () => Promise<void>;
}

/** @param onSent is given what clients send */
export async function breakableWay(to: number, onSent?: (chunk: Buffer) => void): Promise<BreakableWay> {
  const sockets = new Set<Socket>();
  let count = 0;
  const server: Server = createServer((near) => {
    count++;
    const far = connect(to, '127.0.0.1');
    if (onSent !== undefined) near.on('data', onSent);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('It has no port.');
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: address.port,
    count: () => count,
    cut,
    close: () => {
      cut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

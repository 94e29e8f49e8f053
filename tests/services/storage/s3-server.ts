import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import S3rver from '@20minutes/s3rver';
import type { S3StorageOptions } from '../../../app/services/storage.js';

export const BUCKET = 'backups';

/** What happens to a request on its way: nothing, or one of the things that networks and servers do. */
export type Fault =
  | 'none'
  | 'unavailable'
  | 'forbidden'
  /** The connection is cut after half a megabyte of the request. */
  | 'cut request'
  /** The connection is cut after half a megabyte of the answer. */
  | 'cut answer'
  /** The answer stops after half a megabyte, and the connection stays. */
  | 'stall answer'
  /** The request is carried out, and nobody hears of it. */
  | 'lose answer';

export interface S3TestServer {
  readonly options: S3StorageOptions;
  /** What was asked so far, such as `PUT /backups/a?partNumber=1`. */
  readonly requests: string[];
  /** Decides over each request; `attempt` counts those of the same method and path from 1. */
  fault: (request: string, attempt: number) => Fault;
  /** The number of uploads that were begun, and neither completed nor aborted. */
  readonly uploads: () => number;
  /** The files that the server holds, each changed by `change`. */
  readonly damage: (change: (content: Buffer) => Buffer) => void;
  readonly stop: () => Promise<void>;
}

const CUT_BYTES = 1 << 19;

/** An S3 server that checks signatures, behind a proxy that can break what passes. */
export async function startS3Server(): Promise<S3TestServer> {
  const directory = mkdtempSync(join(tmpdir(), 'manage-db-s3-'));
  const strict = s3rver(directory, false);
  // s3rver reckons the signatures of requests for a whole bucket without the slash that the SDK sends
  const lenient = s3rver(directory, true);
  const [{ port }, { port: bucketPort }] = [await strict.run(), await lenient.run()];
  const uploadsFolder = join(directory, BUCKET, '._S3rver_uploads');
  const uploads = (): string[] => (existsSync(uploadsFolder) ? readdirSync(uploadsFolder) : []);
  const requests: string[] = [];
  const proxy = createServer((incoming, answer) => {
    const asked = `${incoming.method} ${incoming.url}`;
    requests.push(asked);
    const fault = server.fault(asked, requests.filter((one) => one === asked).length);
    if (fault === 'unavailable') return refuse(incoming, answer, 503, 'SlowDown');
    if (fault === 'forbidden') return refuse(incoming, answer, 403, 'AccessDenied');
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://localhost');
    // the two requests that s3rver does not know
    const uploadId = searchParams.get('uploadId');
    if (incoming.method === 'DELETE' && uploadId !== null) {
      rmSync(join(uploadsFolder, uploadId), { recursive: true, force: true });
      answer.writeHead(204).end();
    } else if (incoming.method === 'GET' && pathname === `/${BUCKET}/` && searchParams.has('uploads')) {
      answer.writeHead(200, { 'content-type': 'application/xml' }).end(listing(uploadsFolder, uploads()));
    } else {
      forward(incoming, answer, { port: pathname === `/${BUCKET}/` ? bucketPort : port, fault });
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const server: S3TestServer = {
    options: {
      bucket: BUCKET,
      endpoint: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
      credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
      partBytes: 5 << 20,
    },
    requests,
    fault: () => 'none',
    uploads: () => uploads().length,
    damage(change) {
      for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
        const path = join(directory, name);
        if (name.endsWith('_object') && !name.includes('.checksums')) writeFileSync(path, change(readFileSync(path)));
      }
    },
    async stop() {
      proxy.closeAllConnections();
      await new Promise((resolve) => proxy.close(resolve));
      await strict.close();
      await lenient.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return server;
}

function s3rver(directory: string, allowMismatchedSignatures: boolean): S3rver {
  return new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    vhostBuckets: false,
    allowMismatchedSignatures,
    configureBuckets: [{ name: BUCKET }],
  });
}

function forward(
  incoming: IncomingMessage,
  answer: ServerResponse,
  { port, fault }: { port: number; fault: Fault },
): void {
  const { method, url, headers } = incoming;
  const outgoing = httpRequest({ host: '127.0.0.1', port, method, path: url, headers }, (result) => {
    if (fault === 'lose answer') {
      result.resume().on('end', () => answer.destroy());
      return;
    }
    answer.writeHead(result.statusCode ?? 500, result.headers);
    let passed = 0;
    result.on('data', (bytes: Buffer) => {
      passed += bytes.length;
      const isOver = passed > CUT_BYTES;
      if (isOver && fault === 'cut answer') answer.destroy();
      else if (!isOver || fault !== 'stall answer') answer.write(bytes);
    });
    result.on('end', () => {
      if (fault !== 'stall answer') answer.end();
    });
  });
  outgoing.on('error', () => answer.destroy());
  incoming.on('error', () => outgoing.destroy());
  let passed = 0;
  incoming.on('data', (bytes: Buffer) => {
    passed += bytes.length;
    outgoing.write(bytes);
    if (fault !== 'cut request' || passed < CUT_BYTES) return;
    incoming.destroy();
    outgoing.destroy();
  });
  incoming.on('end', () => outgoing.end());
}

function refuse(incoming: IncomingMessage, answer: ServerResponse, status: number, code: string): void {
  incoming.resume().on('end', () => {
    answer.writeHead(status, { 'content-type': 'application/xml' });
    answer.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}.</Message></Error>`);
  });
}

function listing(folder: string, ids: readonly string[]): string {
  const uploads = ids.map((id) => {
    const key = readFileSync(join(folder, id, 'key'), 'utf8');
    const initiated = statSync(join(folder, id, 'key')).mtime.toISOString();
    return `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${initiated}</Initiated></Upload>`;
  });
  return `<?xml version="1.0"?><ListMultipartUploadsResult><IsTruncated>false</IsTruncated>${uploads.join('')}</ListMultipartUploadsResult>`;
}

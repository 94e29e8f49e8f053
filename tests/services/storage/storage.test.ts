import { createHash, randomBytes } from 'node:crypto';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { expect } from 'chai';
import { type ErrorCode, messageOf } from '../../../app/core/errors.js';
import { type BackupStorage, folderStorage, type S3StorageOptions, s3Storage } from '../../../app/services/storage.js';
import { failureOf } from '../../support/failure-of.js';
import { withVariables } from '../../support/variables.js';
import { type S3TestServer, startS3Server } from './s3-server.js';

const MIB = 1 << 20;

/** `sizeBytes` in pieces of 64 KiB, and an error or silence after those where that is wanted. */
function contentOf(bytes: Buffer, then: 'end' | 'fail' | 'stall' = 'end'): Readable {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
    if (then === 'fail') throw new Error('pg_dump has failed.');
    if (then === 'stall') await new Promise(() => undefined);
  }
  return Readable.from(pieces(), { objectMode: false });
}

const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function codeOf(work: Promise<unknown>): Promise<ErrorCode> {
  return (await failureOf(work)).code;
}

const contentIn = async (storage: BackupStorage, key: string): Promise<Buffer> => buffer(await storage.read(key));
const keysIn = async (storage: BackupStorage, prefix = ''): Promise<string[]> =>
  (await storage.list(prefix)).map(({ key }) => key);

/** What every storage does, whatever it is made of. */
function keepsFiles(open: () => Promise<BackupStorage>): void {
  let storage: BackupStorage;
  beforeEach(async () => {
    storage = await open();
  });
  afterEach(() => storage.close());

  for (const size of [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 12 * MIB]) {
    it(`gives back ${size} bytes as they were`, async () => {
      const bytes = randomBytes(size);
      const written = await storage.write('production/a/dump', contentOf(bytes));
      expect(written).to.deep.equal({ sizeBytes: size, sha256: sha256Of(bytes) });
      expect((await contentIn(storage, 'production/a/dump')).equals(bytes)).to.equal(true);
      expect(await storage.head('production/a/dump')).to.include({ key: 'production/a/dump', sizeBytes: size });
    });
  }

  it('takes every name that a file may have', async () => {
    // the test's S3 server escapes these twice when it lists them
    const odd = 'quo\'te"&<x>?#%2F';
    await storage.write(odd, contentOf(Buffer.from(odd)));
    expect(String(await contentIn(storage, odd))).to.equal(odd);
    await storage.remove(odd);
    const keys = ['...', '.hidden', 'Größe/日本 語', 'a b/c+d', 'emoji 🐘/*!()~=@:,;$'];
    for (const key of keys) await storage.write(key, contentOf(Buffer.from(key)));
    expect(await keysIn(storage)).to.deep.equal(keys);
    for (const key of keys) expect(String(await contentIn(storage, key))).to.equal(key);
    for (const key of keys) await storage.remove(key);
    expect(await keysIn(storage)).to.deep.equal([]);
  });

  it('refuses names that lead elsewhere', async () => {
    const names = [
      '',
      '/etc/x',
      '../x',
      'a/../../x',
      'a/..',
      './a',
      'a//b',
      'a/',
      'a\0b',
      'a\nb',
      'a\\b',
      '.checksums/x',
      '\ud800',
      'x'.repeat(256),
    ];
    for (const name of [...names, '.0123456789ab.unfinished']) {
      for (const work of [
        storage.head(name),
        storage.read(name),
        storage.remove(name),
        storage.write(name, contentOf(Buffer.alloc(1))),
      ]) {
        expect(await codeOf(work), JSON.stringify(name)).to.equal('USAGE');
      }
    }
    expect(await keysIn(storage)).to.deep.equal([]);
  });

  it('lists by prefix, in order, with size and time', async () => {
    for (const key of ['b/2', 'a/1', 'b/10', 'ba']) await storage.write(key, contentOf(Buffer.alloc(3)));
    expect(await keysIn(storage)).to.deep.equal(['a/1', 'b/10', 'b/2', 'ba']);
    expect(await keysIn(storage, 'b/')).to.deep.equal(['b/10', 'b/2']);
    const [first] = await storage.list('a');
    expect(first?.sizeBytes).to.equal(3);
    expect(Math.abs(Date.now() - Date.parse(first?.modifiedAt ?? ''))).to.be.below(60_000);
  });

  it('knows nothing of a file that is not there', async () => {
    expect(await storage.head('a/b')).to.equal(null);
    await storage.remove('a/b');
    expect(await codeOf(storage.read('a/b'))).to.equal('NOT_FOUND');
  });

  for (const size of [1000, 12 * MIB]) {
    it(`keeps the old content when ${size} bytes fail to replace it`, async () => {
      const [before, after] = [randomBytes(size), randomBytes(size)];
      await storage.write('a/dump', contentOf(before));
      const failure = await storage.write('a/dump', contentOf(after, 'fail')).catch(messageOf);
      expect(failure).to.equal('pg_dump has failed.');
      const wrong = storage.write('a/dump', contentOf(after), { sha256: sha256Of(before) });
      expect(await codeOf(wrong)).to.equal('BACKUP_INVALID');
      expect((await contentIn(storage, 'a/dump')).equals(before)).to.equal(true);
      await storage.write('a/dump', contentOf(after), { sha256: sha256Of(after), expectedBytes: size });
      expect((await contentIn(storage, 'a/dump')).equals(after)).to.equal(true);
      expect(await keysIn(storage)).to.deep.equal(['a/dump']);
    });

    it(`leaves nothing behind when it is interrupted after ${size} bytes`, async () => {
      const interruption = new AbortController();
      const content = contentOf(randomBytes(size), 'stall');
      const writing = failureOf(storage.write('a/dump', content, { signal: interruption.signal }));
      setTimeout(() => interruption.abort(), 500);
      expect((await writing).code).to.equal('INTERRUPTED');
      expect(content.destroyed).to.equal(true);
      expect(await keysIn(storage)).to.deep.equal([]);
      expect(await storage.removeUnfinished(new Date(Date.now() + 60_000))).to.equal(0);
    });
  }

  it('takes a stream that has failed before it is read', async () => {
    const content = contentOf(Buffer.alloc(10));
    content.on('error', () => undefined).destroy(new Error('pg_dump has failed.'));
    expect(await storage.write('a', content).catch(messageOf)).to.contain('pg_dump has failed.');
    expect(await keysIn(storage)).to.deep.equal([]);
  });

  it('compares what is read with the checksum of a manifest', async () => {
    const bytes = randomBytes(1000);
    await storage.write('a', contentOf(bytes));
    await buffer(await storage.read('a', { sha256: sha256Of(bytes) }));
    const other = await storage.read('a', { sha256: sha256Of(Buffer.alloc(1)) });
    expect(await codeOf(buffer(other))).to.equal('BACKUP_INVALID');
  });

  it('stops reading and writing at once when it was interrupted before', async () => {
    await storage.write('a', contentOf(Buffer.alloc(10)));
    const signal = AbortSignal.abort();
    expect(await codeOf(storage.write('b', contentOf(Buffer.alloc(10)), { signal }))).to.equal('INTERRUPTED');
    expect(await codeOf(storage.read('a', { signal }))).to.equal('INTERRUPTED');
    expect(await keysIn(storage)).to.deep.equal(['a']);
  });

  it('stops reading when it is interrupted', async () => {
    await storage.write('a', contentOf(randomBytes(12 * MIB)));
    const interruption = new AbortController();
    const content = await storage.read('a', { signal: interruption.signal });
    const reading = async (): Promise<void> => {
      for await (const _ of content) interruption.abort();
    };
    expect(await codeOf(reading())).to.equal('INTERRUPTED');
  });
}

describe('a folder for backups', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'manage-db-storage-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  keepsFiles(async () => folderStorage(join(root, 'backups')));

  it('keeps everything readable by its owner only, and removes folders with their last file', async () => {
    const storage = folderStorage(join(root, 'backups'));
    await storage.write('production/a/dump', contentOf(Buffer.alloc(1)));
    const modes = ['backups', 'backups/production', 'backups/production/a', 'backups/production/a/dump'].map(
      (path) => statSync(join(root, path)).mode & 0o777,
    );
    expect(modes).to.deep.equal([0o700, 0o700, 0o700, 0o600]);
    await storage.remove('production/a/dump');
    expect(readdirSync(join(root, 'backups'))).to.deep.equal([]);
  });

  it('neither reads nor writes through a link that leads out of it', async () => {
    const storage = folderStorage(join(root, 'backups'));
    await storage.write('a', contentOf(Buffer.alloc(1)));
    writeFileSync(join(root, 'secret'), 'secret');
    symlinkSync(root, join(root, 'backups/out'));
    expect(await codeOf(storage.read('out/secret'))).to.equal('USAGE');
    expect(await codeOf(storage.write('out/new', contentOf(Buffer.alloc(1))))).to.equal('USAGE');
    expect(await codeOf(storage.remove('out/secret'))).to.equal('USAGE');
    expect(readFileSync(join(root, 'secret'), 'utf8')).to.equal('secret');
    expect(readdirSync(root).sort()).to.deep.equal(['backups', 'secret']);
  });

  it('removes what a killed writer has left, but not what one is writing', async () => {
    const storage = folderStorage(root);
    await storage.write('a/dump', contentOf(Buffer.alloc(1)));
    writeFileSync(join(root, 'a/.0123456789ab.unfinished'), 'half');
    utimesSync(join(root, 'a/.0123456789ab.unfinished'), new Date(0), new Date(0));
    writeFileSync(join(root, 'a/.0123456789ac.unfinished'), 'half');
    expect(await storage.removeUnfinished(new Date(Date.now() - 60_000))).to.equal(1);
    expect(await keysIn(storage)).to.deep.equal(['a/dump']);
    expect(readdirSync(join(root, 'a')).sort()).to.deep.equal(['.0123456789ac.unfinished', 'dump']);
  });

  it('says what cannot be written', async () => {
    writeFileSync(join(root, 'file'), '');
    const failure = await failureOf(folderStorage(join(root, 'file')).write('a', contentOf(Buffer.alloc(1))));
    expect(failure.code).to.equal('STORAGE_FAILED');
    expect(failure.message).to.contain('Nothing was stored.');
  });
});

describe('an S3 bucket for backups', () => {
  let server: S3TestServer;
  beforeEach(async () => {
    server = await startS3Server();
  });
  afterEach(() => server.stop());
  const open = (options: Partial<S3StorageOptions> = {}) => s3Storage({ ...server.options, ...options });

  keepsFiles(() => open({ prefix: 'team a/db+1' }));

  it('keeps the checksum with every file, and leaves none behind', async () => {
    const all = await open();
    const storage = await open({ prefix: '/clinic/' });
    const [small, large] = [randomBytes(10), randomBytes(12 * MIB)];
    await storage.write('small', contentOf(small));
    await storage.write('large', contentOf(large));
    await storage.write('large', contentOf(large));
    expect((await storage.head('small'))?.sha256).to.equal(sha256Of(small));
    expect((await storage.head('large'))?.sha256).to.equal(sha256Of(large));
    const kept = (await keysIn(all)).filter((key) => key.includes('.checksums/'));
    expect(kept).to.have.length(1);
    await storage.remove('large');
    expect(await keysIn(all)).to.deep.equal(['clinic/small']);
  });

  it('uploads 60 MB in parts as they come', async () => {
    const storage = await open();
    const bytes = randomBytes(60_000_000);
    const { sha256 } = await storage.write('dump', contentOf(bytes));
    expect(sha256).to.equal(sha256Of(bytes));
    expect(server.requests.filter((request) => request.includes('partNumber='))).to.have.length(12);
    expect((await contentIn(storage, 'dump')).equals(bytes)).to.equal(true);
    expect(server.uploads()).to.equal(0);
  });

  it('goes on when connections are cut and the server is busy', async () => {
    const storage = await open();
    const bytes = randomBytes(12 * MIB);
    server.fault = (request, attempt) => {
      if (attempt > 2) return 'none';
      if (request.includes('partNumber=1')) return 'cut request';
      if (request.includes('partNumber=2')) return 'unavailable';
      if (request.includes('partNumber=3')) return 'lose answer';
      return attempt === 1 ? 'unavailable' : 'none';
    };
    await storage.write('dump', contentOf(bytes));
    server.fault = (request, attempt) => (request.startsWith('GET') && attempt < 4 ? 'cut answer' : 'none');
    expect((await contentIn(storage, 'dump')).equals(bytes)).to.equal(true);
    expect(server.uploads()).to.equal(0);
  });

  it('takes up a download on which nothing comes any more', async () => {
    const storage = await open({ idleMs: 300 });
    const bytes = randomBytes(2 * MIB);
    await storage.write('dump', contentOf(bytes));
    server.fault = (request, attempt) => (request.startsWith('GET') && attempt === 1 ? 'stall answer' : 'none');
    expect((await contentIn(storage, 'dump')).equals(bytes)).to.equal(true);
  });

  it('knows that an upload was completed though the answer was lost', async () => {
    const storage = await open();
    const bytes = randomBytes(6 * MIB);
    server.fault = (request, attempt) =>
      /^POST .*uploadId=/.test(request) ? (attempt === 1 ? 'lose answer' : 'none') : 'none';
    await storage.write('dump', contentOf(bytes));
    expect((await storage.head('dump'))?.sha256).to.equal(sha256Of(bytes));
    expect((await contentIn(storage, 'dump')).equals(bytes)).to.equal(true);
  });

  it('gives up at last, without a part of the upload left', async () => {
    const storage = await open({ attempts: 2 });
    server.fault = (request) => (request.includes('partNumber=2') ? 'unavailable' : 'none');
    const content = contentOf(randomBytes(12 * MIB), 'stall');
    const failure = await failureOf(storage.write('dump', content));
    expect(failure.code).to.equal('SERVER_UNAVAILABLE');
    expect(failure.message).to.contain('Writing s3://backups/dump has failed');
    expect(content.destroyed).to.equal(true);
    expect(server.uploads()).to.equal(0);
    expect(await keysIn(storage)).to.deep.equal([]);

    server.fault = (request) => (request.startsWith('GET') ? 'cut answer' : 'none');
    await storage.write('other', contentOf(randomBytes(MIB / 2)));
    await storage.write('dump', contentOf(randomBytes(MIB)));
    server.fault = (request) => (request.startsWith('GET') ? 'unavailable' : 'none');
    expect(await codeOf(contentIn(storage, 'dump'))).to.equal('SERVER_UNAVAILABLE');
  });

  it('finds what the storage has changed or lost', async () => {
    const storage = await open();
    for (const size of [MIB, 6 * MIB]) {
      await storage.write('dump', contentOf(randomBytes(size)));
      server.damage((content) => {
        content.writeUInt8(content.readUInt8(1000) ^ 1, 1000);
        return content;
      });
      expect(await codeOf(contentIn(storage, 'dump'))).to.equal('BACKUP_INVALID');
      server.damage((content) => content.subarray(0, -1));
      expect(await codeOf(contentIn(storage, 'dump'))).to.equal('BACKUP_INVALID');
    }
  });

  it('removes uploads that a killed writer has left, but not those that are going on', async () => {
    const storage = await open({ prefix: 'clinic' });
    const interruption = new AbortController();
    const content = contentOf(randomBytes(6 * MIB), 'stall');
    const writing = failureOf(storage.write('dump', content, { signal: interruption.signal }));
    // until its first part has come
    while (server.uploads() === 0) await sleep(20);
    await sleep(500);
    expect(await storage.removeUnfinished(new Date(Date.now() - 60_000))).to.equal(0);
    expect(await storage.removeUnfinished(new Date(Date.now() + 60_000))).to.equal(1);
    expect(server.uploads()).to.equal(0);
    interruption.abort();
    await writing;
  });

  it('says what is wrong with credentials, rights, bucket and endpoint, without the secret', async () => {
    const secretAccessKey = 'canary-secret-key';
    const failures = [
      await failureOf((await open({ credentials: { accessKeyId: 'S3RVER', secretAccessKey } })).read('a')),
      await failureOf(
        (await open({ credentials: { accessKeyId: 'S3RVER', secretAccessKey } })).write(
          'a',
          contentOf(Buffer.alloc(1)),
        ),
      ),
      await failureOf((await open({ credentials: { accessKeyId: 'nobody', secretAccessKey } })).read('a')),
      await failureOf((await open({ bucket: 'no-such-bucket' })).write('a', contentOf(Buffer.alloc(1)))),
      await failureOf((await open({ endpoint: 'http://127.0.0.1:9', attempts: 2 })).list('')),
      await failureOf((await open({ endpoint: 'http://no-such-host.invalid', attempts: 1 })).list('')),
      await failureOf(open({ endpoint: 'minio:9000' })),
      await failureOf(open({ bucket: '../x' })),
    ];
    expect(failures.map(({ code }) => code)).to.deep.equal([
      'AUTHENTICATION_FAILED',
      'AUTHENTICATION_FAILED',
      'AUTHENTICATION_FAILED',
      'NOT_FOUND',
      'CONNECTION_REFUSED',
      'HOST_NOT_FOUND',
      'USAGE',
      'USAGE',
    ]);
    for (const failure of failures) expect(inspect(failure, { depth: 5 })).not.to.contain(secretAccessKey);
    server.fault = () => 'forbidden';
    expect(await codeOf((await open()).list(''))).to.equal('PERMISSION_DENIED');
  });

  it('writes with a login that may only write', async () => {
    const storage = await open();
    server.fault = (request) => (/^(GET|HEAD)/.test(request) ? 'forbidden' : 'none');
    await storage.write('small', contentOf(randomBytes(10)));
    await storage.write('large', contentOf(randomBytes(6 * MIB)));
    server.fault = () => 'none';
    expect(await keysIn(storage)).to.deep.equal(['large', 'small']);
  });

  it('takes credentials and region from the usual variables', async () => {
    const { credentials: _, ...options } = server.options;
    await withVariables(
      { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER', AWS_REGION: 'eu-central-1' },
      async () => {
        const storage = await s3Storage(options);
        await storage.write('a', contentOf(Buffer.from('rows')));
        expect(String(await contentIn(storage, 'a'))).to.equal('rows');
      },
    );
  });
});

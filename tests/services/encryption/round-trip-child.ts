import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { decryption, encryption, generateKeyPair } from '../../../app/services/encryption.js';

/** Encrypts and decrypts as many MiB as the argument says, and prints how many MiB this process grew by. */
const mebibytes = Number(process.argv[2]);
const { identity, recipient } = await generateKeyPair();
const block = Buffer.alloc(1 << 20, 'row ');
const before = createHash('sha256');
const after = createHash('sha256');
const grownFrom = process.resourceUsage().maxRSS;
await pipeline(
  Readable.from(blocks(), { objectMode: false }),
  await encryption({ recipients: [recipient] }),
  await decryption({ identities: [identity] }),
  after,
);
const grownKib = process.resourceUsage().maxRSS - grownFrom;
process.stdout.write(JSON.stringify({ same: before.digest('hex') === after.digest('hex'), grownMib: grownKib / 1024 }));

function* blocks(): Generator<Buffer> {
  for (let index = 0; index < mebibytes; index += 1) {
    block.writeUInt32LE(index);
    before.update(block);
    yield Buffer.from(block);
  }
}

import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { inspect } from 'node:util';
import { expect } from 'chai';
import type { Context } from 'mocha';
import { redact } from '../../../app/config/redaction.js';
import {
  type DecryptWith,
  decryption,
  type EncryptFor,
  encryption,
  generateKeyPair,
  type KeyPair,
  keysInFile,
} from '../../../app/services/encryption.js';
import { failureOf } from '../../support/failure-of.js';
import { manageDbOnTerminal, needsTerminal } from '../../support/terminal.js';

const CHUNK = 64 * 1024;
const PASSPHRASE = 'canary-ümlaut correct horse';

const encrypted = (text: Uint8Array, to: EncryptFor) => through(text, encryption(to));
const decrypted = (file: Uint8Array, using: DecryptWith) => through(file, decryption(using));

async function through(bytes: Uint8Array, stream: Promise<NodeJS.ReadWriteStream>): Promise<Buffer> {
  // in pieces that fit no border of the format
  const pieces = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_, n) =>
    bytes.subarray(n * 1000, n * 1000 + 1000),
  );
  let result = Buffer.alloc(0);
  await pipeline(Readable.from(pieces, { objectMode: false }), await stream, async (output) => {
    result = await buffer(output);
  });
  return result;
}

function needsAge(test: Context): void {
  if (spawnSync('age', ['--version']).status === 0) return;
  process.stdout.write('      skipped: the age command is not installed (apt-get install age)\n');
  test.skip();
}

describe('encryption', () => {
  let keys: KeyPair;
  before(async () => {
    keys = await generateKeyPair();
  });
  const to = (): EncryptFor => ({ recipients: [keys.recipient] });
  const using = (): DecryptWith => ({ identities: [keys.identity] });

  for (const size of [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 17]) {
    it(`gives back ${size} bytes as they were`, async () => {
      const text = randomBytes(size);
      const file = await encrypted(text, to());
      expect(file.indexOf(text) > 0 && size > 8).to.equal(false);
      expect((await decrypted(file, using())).equals(text)).to.equal(true);
    });
  }

  it('is opened by every one of its recipients, and by nobody else', async () => {
    const [second, stranger] = [await generateKeyPair(), await generateKeyPair()];
    const file = await encrypted(Buffer.from('rows'), { recipients: [keys.recipient, second.recipient] });
    for (const { identity } of [keys, second]) {
      expect(String(await decrypted(file, { identities: [stranger.identity, identity] }))).to.equal('rows');
    }
    const failure = await failureOf(decrypted(file, { identities: [stranger.identity] }));
    expect(failure.code).to.equal('DECRYPTION_FAILED');
    expect(failure.message).to.contain('None of the identities (1)').and.contain('recipients (2)');
  });

  it('tells a wrong passphrase, a missing one, and one where an identity is wanted', async () => {
    const file = await encrypted(Buffer.from('rows'), { passphrase: PASSPHRASE });
    expect(String(await decrypted(file, { passphrase: PASSPHRASE, ...using() }))).to.equal('rows');
    const wrong = await failureOf(decrypted(file, { passphrase: `${PASSPHRASE}.` }));
    const missing = await failureOf(decrypted(file, using()));
    const unwanted = await failureOf(decrypted(await encrypted(Buffer.alloc(1), to()), { passphrase: PASSPHRASE }));
    expect([wrong.code, missing.code, unwanted.code]).to.deep.equal(Array(3).fill('DECRYPTION_FAILED'));
    expect(wrong.message).to.contain('The passphrase is wrong.');
    expect(missing.message).to.contain('encrypted with a passphrase, and none was given');
    expect(unwanted.message).to.contain('an identity decrypts it, not a passphrase');
  });

  it('does not keep the program waiting while it stretches a passphrase', async () => {
    let longestMs = 0;
    const started = performance.now();
    let last = started;
    const timer = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - last);
      last = performance.now();
    }, 5);
    await encrypted(Buffer.from('rows'), { passphrase: PASSPHRASE });
    clearInterval(timer);
    const took = performance.now() - started;
    // stretched in one go, it would be nearly all of it
    expect(longestMs).to.be.within(1, took / 3);
  });

  describe('of a file that was damaged', () => {
    let text: Buffer;
    let file: Buffer;
    let headerBytes: number;
    before(async () => {
      text = randomBytes(2 * CHUNK + 100);
      file = await encrypted(text, to());
      headerBytes = file.indexOf('\n', file.indexOf('\n--- ') + 1) + 1 + 16;
    });
    const flipped = (at: number): Buffer => {
      const copy = Buffer.from(file);
      copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
      return copy;
    };
    const sealed = CHUNK + 16;

    const damages: Readonly<Record<string, () => Buffer>> = {
      'is empty': () => Buffer.alloc(0),
      'lost its last byte': () => file.subarray(0, -1),
      'ends after its first chunk': () => file.subarray(0, headerBytes + sealed),
      'ends after its second chunk': () => file.subarray(0, headerBytes + 2 * sealed),
      'ends after its header': () => file.subarray(0, headerBytes),
      'ends in its header': () => file.subarray(0, 60),
      'lost a chunk in the middle': () =>
        Buffer.concat([file.subarray(0, headerBytes + sealed), file.subarray(headerBytes + 2 * sealed)]),
      'has two chunks exchanged': () =>
        Buffer.concat([
          file.subarray(0, headerBytes),
          file.subarray(headerBytes + sealed, headerBytes + 2 * sealed),
          file.subarray(headerBytes, headerBytes + sealed),
          file.subarray(headerBytes + 2 * sealed),
        ]),
      'got one byte more': () => Buffer.concat([file, Buffer.alloc(1)]),
      'got another file appended': () => Buffer.concat([file, file]),
      'has a bit flipped in its first line': () => flipped(3),
      'has a bit flipped in its checksum of the header': () => flipped(headerBytes - 16 - 10),
      'has a bit flipped in its nonce': () => flipped(headerBytes - 1),
      'has a bit flipped in its first chunk': () => flipped(headerBytes + 5),
      'has a bit flipped in its last byte': () => flipped(file.length - 1),
      'is the dump itself': () => text,
      'is long and has no line in it': () =>
        Buffer.concat([Buffer.from('age-encryption.org/v1\n'), Buffer.alloc(3 << 20, 65)]),
    };
    for (const [what, damage] of Object.entries(damages)) {
      it(`fails as invalid where it ${what}`, async () => {
        const failure = await failureOf(decrypted(damage(), using()));
        expect(failure.code, failure.message).to.equal('BACKUP_INVALID');
      });
    }

    it('fails as invalid where exactly full chunks lost the last one, or got an empty one', async () => {
      const full = await encrypted(randomBytes(2 * CHUNK), to());
      expect((await failureOf(decrypted(full.subarray(0, -sealed), using()))).code).to.equal('BACKUP_INVALID');
      expect((await failureOf(decrypted(Buffer.concat([full, Buffer.alloc(16)]), using()))).code).to.equal(
        'BACKUP_INVALID',
      );
    });

    it('never opens another text than the encrypted one, whichever bit of the header is flipped', async () => {
      for (let at = 0; at < headerBytes; at += 7) {
        const failure = await failureOf(decrypted(flipped(at), using()));
        expect(failure.code, `bit ${at}`).to.be.oneOf(['BACKUP_INVALID', 'DECRYPTION_FAILED']);
      }
    });
  });

  it('refuses recipients and identities that are none, without showing them', async () => {
    const secret = keys.identity;
    const failures = [
      await failureOf(encryption({ recipients: [] })),
      await failureOf(encryption({ recipients: [keys.recipient, secret] })),
      // its last character is one of 32, and each of them may be there
      await failureOf(encryption({ recipients: [keys.recipient.replace(/.$/, (last) => (last === 'q' ? 'p' : 'q'))] })),
      await failureOf(encryption({ recipients: ['ssh-ed25519 AAAA'] })),
      await failureOf(encryption({ passphrase: '' })),
      await failureOf(decryption({})),
      await failureOf(decryption({ identities: [secret.slice(0, -1)] })),
      await failureOf(decryption({ identities: ['canary-not-an-identity'] })),
    ];
    expect(failures.map(({ code }) => code)).to.deep.equal(Array(failures.length).fill('USAGE'));
    expect(failures[1]?.message).to.contain('Recipient 2 is an identity');
    for (const failure of failures) {
      expect(inspect(failure)).not.to.contain(secret.slice(0, 30));
      expect(inspect(failure)).not.to.contain('canary');
    }
  });

  it('keeps passphrases and identities out of all text from then on', async () => {
    await encryption({ passphrase: PASSPHRASE });
    expect(redact(`with ${PASSPHRASE} and ${keys.identity}`)).to.equal('with *** and ***');
    expect(redact('an unknown AGE-SECRET-KEY-1ABCDEFGHIJK234.')).to.equal('an unknown ***.');
  });

  it('reads files of keys, with their comments', () => {
    expect(keysInFile(`# created: today\n# public key: age1x\n\n ${keys.identity}\r\n`)).to.deep.equal([keys.identity]);
  });

  it('holds no more of 200 MB than a few chunks', () => {
    const child = spawnSync(
      process.execPath,
      ['--max-old-space-size=48', '--import', 'tsx/esm', join(import.meta.dirname, 'round-trip-child.ts'), '200'],
      { encoding: 'utf8', timeout: 250_000 },
    );
    expect(child.status, child.stderr).to.equal(0);
    const { same, grownMib } = JSON.parse(child.stdout);
    expect(same).to.equal(true);
    expect(grownMib).to.be.below(100);
  });

  describe('and the age command', () => {
    let folder: string;
    let text: Buffer;
    before(function () {
      needsAge(this);
      folder = mkdtempSync(join(tmpdir(), 'manage-db-age-'));
      text = randomBytes(3 * CHUNK + 5);
      writeFileSync(at('text'), text);
      writeFileSync(at('identity'), `# a comment\n${keys.identity}\n`, { mode: 0o600 });
    });
    after(() => rmSync(folder ?? '', { recursive: true, force: true }));

    const at = (name: string) => join(folder, name);
    const age = (...args: string[]): void => {
      const { status, stderr } = spawnSync('age', args, { cwd: folder, encoding: 'utf8' });
      expect(status, stderr).to.equal(0);
    };
    const ageAsked = async (line: string, prompts: readonly string[]): Promise<void> => {
      const terminal = manageDbOnTerminal([], { cwd: folder, line: () => line });
      for (const prompt of prompts) {
        await terminal.shows(prompt);
        terminal.type(`${PASSPHRASE}\r`);
      }
      const { code, screen } = await terminal.end();
      expect(code, screen).to.equal(0);
    };

    it('open what the other has encrypted for a recipient', async () => {
      writeFileSync(at('ours.age'), await encrypted(text, to()));
      age('--decrypt', '-i', 'identity', '-o', 'opened', 'ours.age');
      expect(readFileSync(at('opened')).equals(text)).to.equal(true);

      age('-r', keys.recipient, '-o', 'theirs.age', 'text');
      const identities = keysInFile(readFileSync(at('identity'), 'utf8'));
      expect((await decrypted(readFileSync(at('theirs.age')), { identities })).equals(text)).to.equal(true);
    });

    it('open what the other has encrypted with a passphrase', async function () {
      needsTerminal(this);
      writeFileSync(at('ours.age'), await encrypted(text, { passphrase: PASSPHRASE }));
      await ageAsked('age --decrypt -o opened-by-passphrase ours.age', ['passphrase']);
      expect(readFileSync(at('opened-by-passphrase')).equals(text)).to.equal(true);

      await ageAsked('age --passphrase -o theirs.age text', ['Enter passphrase', 'Confirm passphrase']);
      expect((await decrypted(readFileSync(at('theirs.age')), { passphrase: PASSPHRASE })).equals(text)).to.equal(true);
    });

    it('open an identity that we keep encrypted with a passphrase, and with it the files', async function () {
      needsTerminal(this);
      writeFileSync(at('key.age'), await encrypted(Buffer.from(`${keys.identity}\n`), { passphrase: PASSPHRASE }));
      writeFileSync(at('ours.age'), await encrypted(text, to()));
      await ageAsked('age --decrypt -i key.age -o opened-by-key ours.age', ['passphrase']);
      expect(readFileSync(at('opened-by-key')).equals(text)).to.equal(true);
    });

    it('say the same of an armored file: it is decoded first', async () => {
      age('--armor', '-r', keys.recipient, '-o', 'armored.age', 'text');
      const failure = await failureOf(decrypted(readFileSync(at('armored.age')), using()));
      expect(failure.code).to.equal('BACKUP_INVALID');
      expect(failure.message).to.contain('armored');
    });
  });
});

import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../../files.js';
import * as z from '../../schema.js';

/** Beside the manifest, and no part of it: the manifest says what was backed up, this says what was found later. */
export const VERIFICATION_FILE = 'verified.json';
const VERIFICATION_VERSION = 1;

const verificationSchema = z.object({
  version: z.literal(VERIFICATION_VERSION),
  /** Of the manifest that it was verified against: with another one it is worth nothing. */
  manifestSha256: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  /** Every byte compared with its checksum, and the dump read to its end. `tool` is the version of pg_restore. */
  files: z.object({ at: z.iso.datetime(), tool: z.nullable(z.string()) }),
  /** Restored into a scratch database and compared with the manifest; `null` when it was not. */
  deep: z.nullable(z.object({ at: z.iso.datetime(), tool: z.string(), server: z.string() })),
});

/** What is known about a backup since it was made. */
export type Verification = Omit<z.infer<typeof verificationSchema>, 'version'>;

/** The record in `folder`, of whatever manifest; `null` where there is none that can be read. */
export async function readVerification(folder: string): Promise<Verification | null> {
  return parseVerification(await readFile(join(folder, VERIFICATION_FILE), 'utf8').catch(() => ''));
}

/** The record that `text` is; `null` where it is none: a record that is broken proves nothing. */
export function parseVerification(text: string): Verification | null {
  try {
    const { version: _version, ...verification } = verificationSchema.parse(JSON.parse(text));
    return verification;
  } catch {
    return null;
  }
}

export function verificationText(verification: Verification): string {
  return `${JSON.stringify({ version: VERIFICATION_VERSION, ...verification }, null, 2)}\n`;
}

/** Writes the record so that it is there as a whole or not at all, also after a power cut. The caller syncs the folder. */
export function writeVerification(folder: string, verification: Verification): void {
  writeFileAtomically(join(folder, VERIFICATION_FILE), verificationText(verification), 0o600);
}

export async function removeVerification(folder: string): Promise<void> {
  await rm(join(folder, VERIFICATION_FILE), { force: true });
}

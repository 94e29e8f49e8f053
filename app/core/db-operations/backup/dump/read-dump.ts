import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { findClientTools, runOffline } from '../../../../services/client-tools.js';
import { ManageDbError } from '../../../errors.js';
import type { OperationControls } from '../../../progress.js';
import type { Manifest } from '../../manifest/manifest.js';
import { DUMP_NAMES } from './dump.js';

export interface DumpReading extends OperationControls {
  readonly folder: string;
  readonly manifest: Manifest;
  /** Where the client tools are, where the settings say so. */
  readonly binDir: string | null;
}

export interface ReadDump {
  /** What is wrong with the dump, or `null`. */
  readonly damage: string | null;
  /** The version of pg_restore that has read it; `null` for a plain dump, which needs none. */
  readonly tool: string | null;
}

/** The last line of a plain dump; since 2025 `\unrestrict` may follow it. */
const END_OF_PLAIN_DUMP = /\n-- PostgreSQL database dump complete\n--\n(?:\s*|\n\\unrestrict \w+\n\s*)$/;
const LONGEST_END = 1024;

/**
 * Reads the dump of a backup to its end: an archive by pg_restore, entry by entry, a plain one by looking for its last
 * line, without which psql restores a truncated file in all silence.
 *
 * @throws ManageDbError `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED` when pg_restore was ended from outside, `INTERRUPTED`
 */
export async function readDump({ folder, manifest, binDir, signal, onProgress }: DumpReading): Promise<ReadDump> {
  const path = join(folder, DUMP_NAMES[manifest.format]);
  onProgress?.({ step: 'reading the dump to its end' });
  if (manifest.format === 'plain') {
    const isWhole = END_OF_PLAIN_DUMP.test(await lastCharacters(path));
    return { damage: isWhole ? null : `${DUMP_NAMES.plain} has no end: it was cut off`, tool: null };
  }
  const tools = await findClientTools({ serverMajor: Number.parseInt(manifest.toolVersion, 10), binDir });
  try {
    // every entry is read and unpacked, and thrown away
    await runOffline(tools.pgRestore, ['--file=/dev/null', path], { environment: manifest.environment, signal });
    return { damage: null, tool: tools.version };
  } catch (error) {
    const isDamage = error instanceof ManageDbError && error.code === 'CLIENT_TOOL_FAILED' && !error.details.signal;
    if (!isDamage) throw error;
    return { damage: error.message, tool: tools.version };
  }
}

async function lastCharacters(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - LONGEST_END);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(LONGEST_END), 0, size - start, start);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}

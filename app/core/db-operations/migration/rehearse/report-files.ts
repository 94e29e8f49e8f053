import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Workspace } from '../../../../config/workspace.js';
import { codeOf, ManageDbError } from '../../../errors.js';
import { writeFileAtomically } from '../../../files.js';
import * as z from '../../../schema.js';
import type { RehearsalReport } from './report.js';

const FOLDER = 'rehearsals';
const FILE = /^\d{8}T\d{6}Z-[0-9a-f]{6}\.json$/;

/** What is relied on; the rest is for people. */
const reportSchema = z.looseObject({
  version: z.literal(1),
  id: z.string(),
  environment: z.string(),
  rehearsedAt: z.iso.datetime(),
  fingerprint: z.string(),
  outcome: z.enum(['clean', 'unclean', 'failed']),
  migrations: z.array(z.looseObject({ version: z.string(), checksum: z.string() })),
  checksum: z.string(),
});

/** A report of the workspace; `isIntact`: its checksum is that of what it says. */
export interface ReportOnDisk {
  readonly report: RehearsalReport;
  readonly path: string;
  readonly isIntact: boolean;
}

/**
 * Writes a report with its checksum into `.manage_db/rehearsals`, for nobody else to read.
 *
 * @example const { checksum, path } = saveRehearsal(await getWorkspace(), report);
 */
export function saveRehearsal(
  { stateDir }: Workspace,
  report: Omit<RehearsalReport, 'checksum'>,
): RehearsalReport & { readonly path: string } {
  const path = join(stateDir, FOLDER, `${report.id}.json`);
  const checked = { ...report, checksum: checksumOf(report) };
  writeFileAtomically(path, `${JSON.stringify(checked, null, 2)}\n`, 0o600);
  return { ...checked, path };
}

/** The reports of a workspace, the newest first; files that are none are left out. */
export function readRehearsals({ stateDir }: Workspace): readonly ReportOnDisk[] {
  const folder = join(stateDir, FOLDER);
  return namesIn(folder)
    .filter((name) => FILE.test(name))
    .sort()
    .reverse()
    .flatMap((name) => readReport(join(folder, name)) ?? []);
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw new ManageDbError('UNREADABLE_FILE', `${folder} cannot be read.`, {
      hint: 'Check its permissions.',
      cause: error,
    });
  }
}

function readReport(path: string): ReportOnDisk | null {
  const parsed = parse(path);
  if (!reportSchema.safeParse(parsed).success) return null;
  // as it was parsed: what the schema does not know counts as well
  const { checksum, ...rest } = parsed as RehearsalReport;
  return { report: { ...rest, checksum }, path, isIntact: checksumOf(rest) === checksum };
}

function parse(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Over the text of it: JSON keeps the order of what it reads. */
function checksumOf(report: Omit<RehearsalReport, 'checksum'>): string {
  return createHash('sha256').update(JSON.stringify(report)).digest('hex');
}

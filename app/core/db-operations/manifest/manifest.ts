import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJsonOrNothing } from '../../../config/parse-json.js';
import { ManageDbError, messageOf } from '../../errors.js';
import * as z from '../../schema.js';

export const MANIFEST_FILE = 'manifest.json';
/** Its checksum, as `sha256sum --check` reads it: in a manifest that nobody has verified yet, nothing else shows a flipped bit. */
export const MANIFEST_CHECKSUM_FILE = 'manifest.sha256';
export const MANIFEST_VERSION = 1;

export const BACKUP_FORMATS = ['directory', 'custom', 'plain'] as const;
export type BackupFormat = (typeof BACKUP_FORMATS)[number];

const settingsSchema = z.object({
  /** `null`: for every role. */
  role: z.nullable(z.string()),
  /** `name=value`, as the catalog holds them. */
  settings: z.array(z.string()),
});

const propertiesSchema = z.object({
  owner: z.string(),
  encoding: z.string(),
  locale: z.object({
    provider: z.enum(['libc', 'icu', 'builtin']),
    collate: z.string(),
    ctype: z.string(),
    /** Of ICU and builtin. */
    name: z.nullable(z.string()),
    rules: z.nullable(z.string()),
  }),
  connectionLimit: z.int(),
  comment: z.nullable(z.string()),
  /** `null`: PostgreSQL's default grants. */
  grants: z.nullable(
    z.array(
      z.object({
        grantee: z.nullable(z.string()),
        privilege: z.enum(['CREATE', 'CONNECT', 'TEMPORARY']),
        isGrantable: z.boolean(),
      }),
    ),
  ),
  settings: z.array(settingsSchema),
});

const sha256Schema = z.string().check(z.regex(/^[0-9a-f]{64}$/));

const fileSchema = z.object({
  /** Below the backup's folder, with `/`. */
  path: z
    .string()
    .check(z.refine((path) => !path.startsWith('/') && !path.split('/').includes('..'), 'leads out of the backup')),
  sizeBytes: z.int().check(z.nonnegative()),
  sha256: sha256Schema,
});

const tableSchema = z.object({
  schema: z.string(),
  name: z.string(),
  /** `null` in a backup without rows, and for a table whose rows were left out. */
  rows: z.nullable(z.int().check(z.nonnegative())),
  /** Of its content, whatever the order of its rows; `null` where nobody asked for it. */
  checksum: z.nullable(sha256Schema),
});

/** What was asked for, as SQL writes it (quoted where that is needed); nothing at all: everything. */
const selectionSchema = z.object({
  schemas: z.array(z.string()),
  /** With their schemas. */
  tables: z.array(z.string()),
  /** Tables that are there without their rows. */
  excludedData: z.array(z.string()),
});

const constraintTriggerSchema = z.object({
  schema: z.string(),
  table: z.string(),
  constraint: z.string(),
  /** Of the constraint: a foreign key has triggers on the referenced table too. */
  ofSchema: z.string(),
  ofTable: z.string(),
  function: z.string(),
  mode: z.enum(['disabled', 'replica', 'always']),
});

export const manifestSchema = z.object({
  version: z.literal(MANIFEST_VERSION),
  id: z.string(),
  label: z.nullable(z.string()),
  environment: z.string(),
  database: z.string(),
  host: z.string(),
  port: z.int(),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  serverVersion: z.string(),
  serverMajor: z.int(),
  /** Of pg_dump. */
  toolVersion: z.string(),
  format: z.enum(BACKUP_FORMATS),
  contents: z.enum(['all', 'schema', 'data']),
  selection: selectionSchema,
  /** Method and level as pg_dump takes them, or `none`. */
  compression: z.string(),
  encryption: z.nullable(z.enum(['age'])),
  /** What the database said that it is; `null`: it was not stamped. */
  stamp: z.nullable(z.object({ environment: z.string(), protected: z.boolean() })),
  snapshot: z.string(),
  /** Where the write-ahead log was at that moment; `null` where the server does not say. */
  lsn: z.nullable(z.string()),
  extensions: z.array(z.object({ name: z.string(), version: z.string(), schema: z.string() })),
  properties: propertiesSchema,
  /** The newest applied migration, or `null`. */
  migrationHead: z.nullable(z.string()),
  /** SHA-256 of what the trigger registry says; `null`: it says nothing. */
  triggersChecksum: z.nullable(sha256Schema),
  /** What enforces foreign keys and deferrable keys, where it was switched; backups made before that was recorded have none. */
  constraintTriggers: z.optional(z.array(constraintTriggerSchema)),
  /** Owners, grantees, and those that settings and policies are for: what must be there for all of it to be restored. */
  roles: z.array(z.string()),
  /** In which tables and indexes were put by name. */
  tablespaces: z.array(z.string()),
  /** Every ordinary table and partition that was dumped. */
  tables: z.array(tableSchema),
  files: z.array(fileSchema).check(z.minLength(1)),
  /** What belongs to the server or was not asked for. */
  leftOut: z.array(z.string()),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type ManifestFile = z.infer<typeof fileSchema>;
export type DatabaseProperties = z.infer<typeof propertiesSchema>;
export type TableRows = Manifest['tables'][number];

/** Whether a backup has everything of its database, and so could take its place. */
export function isWhole({ contents, selection }: Manifest): boolean {
  const { schemas, tables, excludedData } = selection;
  return contents === 'all' && [...schemas, ...tables, ...excludedData].length === 0;
}

/** The tables of the users: manage_db's own are in a backup as well, and tell nobody how much came back. */
export function usersTables(tables: readonly TableRows[]): TableRows[] {
  return tables.filter(({ schema }) => schema !== 'manage_db');
}

/** A manifest, and what tells whether its file is the one that was written. */
export interface ManifestOnDisk {
  readonly manifest: Manifest;
  /** Of the file, in hexadecimal digits. */
  readonly sha256: string;
  /** Whether the checksum beside it is its own. */
  readonly isAsWritten: boolean;
}

/** The text of a manifest's file. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** The text of the file that has the checksum of a manifest's file. */
export function manifestChecksumText(text: string | Buffer): string {
  return `${createHash('sha256').update(text).digest('hex')}  ${MANIFEST_FILE}\n`;
}

/** Which backup a manifest has to be of. */
export interface ExpectedManifest {
  readonly id: string;
  readonly environment: string;
}

/**
 * The manifest of the backup in `folder`, with what its file is.
 *
 * @throws ManageDbError `BACKUP_INVALID` when it is missing, broken, or not of this backup
 */
export async function readManifestFile(folder: string, expected: ExpectedManifest): Promise<ManifestOnDisk> {
  const bytes = await readRegularFile(join(folder, MANIFEST_FILE)).catch((error: unknown) => {
    throw invalidManifest(expected, `cannot be read (${messageOf(error)})`, error);
  });
  const checksum = await readRegularFile(join(folder, MANIFEST_CHECKSUM_FILE)).catch(() => null);
  return parseManifest({ bytes, checksum: checksum?.toString('utf8') ?? null }, expected);
}

/**
 * The manifest that `bytes` are, with the text of the file that has its checksum.
 *
 * @throws ManageDbError `BACKUP_INVALID` when it is broken, or not of this backup
 */
export function parseManifest(
  { bytes, checksum }: { readonly bytes: Buffer; readonly checksum: string | null },
  expected: ExpectedManifest,
): ManifestOnDisk {
  const parsed = manifestSchema.safeParse(parseJsonOrNothing(bytes.toString('utf8')));
  if (!parsed.success) throw invalidManifest(expected, `is broken: ${z.prettifyError(parsed.error)}`, parsed.error);
  const { id, environment } = parsed.data;
  // a folder that was copied by hand must not turn production's data into development's
  if (id !== expected.id || environment !== expected.environment) {
    throw invalidManifest(expected, `is of another one: ${id} of ${environment}, found under ${expected.environment}`);
  }
  return {
    manifest: parsed.data,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    isAsWritten: checksum === manifestChecksumText(bytes),
  };
}

export function invalidManifest({ id }: ExpectedManifest, why: string, cause?: unknown): ManageDbError {
  return new ManageDbError('BACKUP_INVALID', `The manifest of backup ${id} ${why}.`, {
    hint: 'Choose another one: manage_db list-all-backups',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A link is not followed: what it leads to is no part of the backup. */
async function readRegularFile(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

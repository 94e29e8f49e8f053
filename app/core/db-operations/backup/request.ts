import { ManageDbError } from '../../errors.js';
import type { OperationOptions } from '../../safety/gate.js';
import { defaultJobs } from '../default-jobs.js';
import { BACKUP_FORMATS, type BackupFormat, type Manifest } from '../manifest/manifest.js';
import { parseCompression } from './dump/compression.js';
import type { AskPassphrase, Encrypt } from './encryption/keys.js';

export interface BackupOptions extends OperationOptions {
  /** A few words that say what it is for; a part of the id. */
  readonly label?: string | undefined;
  /**
   * `directory` by default, the only one that is written in parallel; `custom` for a database with thousands of large
   * objects, each of which would be a file, and with `encrypt` or `storage`: it needs no place in between.
   */
  readonly format?: BackupFormat | undefined;
  readonly schemaOnly?: boolean | undefined;
  readonly dataOnly?: boolean | undefined;
  /** Only these schemas. Such a backup cannot take the place of a database; the same goes for the next two. */
  readonly schemas?: readonly string[] | undefined;
  /** Only these tables, views and sequences, with their partitions: `name`, `schema.name`, quoted as in SQL or not. */
  readonly tables?: readonly string[] | undefined;
  /** Tables that are dumped without their rows. */
  readonly excludeTableData?: readonly string[] | undefined;
  /** `none`, `gzip`, `lz4` or `zstd`, with a level or without: `zstd:3`. By default the fastest that there is. */
  readonly compress?: string | undefined;
  /**
   * Keeps what the server has of the roles' passwords beside the dump, where the login may read that; by default yes.
   */
  readonly rolePasswords?: boolean | undefined;
  /**
   * Computes checksums of the tables' contents in the dump's own snapshot, restores the backup into a scratch database on
   * the same server, and compares: what does not come back as it was is no backup.
   */
  readonly prove?: boolean | undefined;
  /** Encrypts every file (age): for whom, or `true` where the settings of the environment say so. */
  readonly encrypt?: Encrypt | undefined;
  /** Asks for the passphrase where `encrypt` is `true` and no setting says anything. */
  readonly askPassphrase?: AskPassphrase | undefined;
  /** Keeps the backup there and not in the workspace: `s3://bucket/prefix`, or a folder. */
  readonly storage?: string | undefined;
  /** Connections that dump at the same time; by default one per processor, four at most. */
  readonly jobs?: number | undefined;
}

/** What was asked for, checked as far as it can be without a database. */
export type BackupRequest = ReturnType<typeof backupRequest>;

const LONGEST_LABEL = 200;

/** @throws ManageDbError `USAGE` */
export function backupRequest(options: BackupOptions) {
  const { encrypt, askPassphrase, storage } = options;
  const {
    format = encrypt === undefined && storage === undefined ? undefined : 'custom',
    schemaOnly,
    dataOnly,
    jobs,
    label,
    compress,
    prove = false,
    rolePasswords = true,
    signal,
    onProgress,
  } = options;
  const { schemas = [], tables = [], excludeTableData: excludedData = [] } = options;
  const refuse = (message: string) =>
    new ManageDbError('USAGE', message, { hint: 'See: manage_db create-backup --help' });
  if (format !== undefined && !BACKUP_FORMATS.includes(format))
    throw refuse(`A backup is ${BACKUP_FORMATS.join(', ')}, not ${format}.`);
  if (schemaOnly && dataOnly)
    throw refuse('A backup holds the schema only, or the data only, or both: not --schema-only --data-only.');
  if (jobs !== undefined && (!Number.isInteger(jobs) || jobs < 1))
    throw refuse(`--jobs takes a number from 1, not ${jobs}.`);
  if (jobs !== undefined && jobs > 1 && format !== undefined && format !== 'directory') {
    throw refuse(
      `Only the directory format is written in parallel, not ${format}: leave out --jobs, or --format directory.`,
    );
  }
  if (label !== undefined && label.length > LONGEST_LABEL)
    throw refuse(`A label has at most ${LONGEST_LABEL} characters.`);
  if (schemas.length > 0 && tables.length > 0)
    throw refuse('A backup holds some schemas or some tables: not --schema and --table.');
  if (schemaOnly && excludedData.length > 0)
    throw refuse('With --schema-only no table has rows: leave out --exclude-table-data.');
  if (compress !== undefined && format === 'plain')
    throw refuse('A plain dump is text, which is not compressed: leave out --compress or --format plain.');
  if (prove && dataOnly) throw refuse('Rows alone cannot be restored by themselves: leave out --prove or --data-only.');
  if (prove && (schemas.length > 0 || tables.length > 0))
    throw refuse('A part of a database need not be restorable by itself: leave out --prove, or --schema and --table.');
  const contents: Manifest['contents'] = schemaOnly ? 'schema' : dataOnly ? 'data' : 'all';
  return {
    // several jobs need a directory
    format: format ?? (jobs === undefined || jobs === 1 ? null : 'directory'),
    contents,
    selection: { schemas, tables, excludedData },
    compression: compress === undefined ? null : parseCompression(compress),
    isProven: prove,
    withoutPasswords: !rolePasswords,
    encrypt,
    askPassphrase,
    storage,
    jobs: jobs ?? defaultJobs(),
    label: label?.trim() || null,
    controls: { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) },
  };
}

import type { EnvironmentSection } from './config-file.js';
import { SSL_MODES, TARGET_SESSION_ATTRS } from './connection-settings.js';
import type { SecretReference } from './secrets.js';

/** One thing that can be set, in variables and in the configuration file. */
export interface SettingDefinition {
  /** Names of the variable without an environment's prefix, the preferred one first. */
  readonly variables: readonly string[];
  /**
   * Whether it decides which server or database is reached, or as whom. Of these, a protected environment takes only
   * what is written for it alone.
   */
  readonly isConnection: boolean;
  /** For people, with its unit: docs/reference/settings.md is made of it. Markdown, in one line. */
  readonly describe: string;
  /** What counts where nothing is set; absent where that depends on others, or is nothing. */
  readonly default?: string;
  /** One of these. */
  readonly choices?: readonly string[];
  /** A whole number within these limits, and what counts where nothing is set. */
  readonly number?: WholeNumber;
  readonly inFile: (section: EnvironmentSection) => string | number | SecretReference | undefined;
}

export interface WholeNumber {
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const connection = { isConnection: true } as const;
const behaviour = { isConnection: false } as const;
const nowhere = (): undefined => undefined;

/** Every setting of an environment. The one list: resolution, `show-config`, `.env.example` and the reference follow it. */
export const SETTINGS = {
  databaseUrl: {
    ...connection,
    variables: ['DATABASE_URL'],
    describe:
      'Where the database is: `postgresql://user@host:5432/database?sslmode=verify-full`. Special characters of the password are encoded (`@` is `%40`); several hosts are separated by commas. Development and testing need none: they have an embedded server.',
    inFile: (s) => s.databaseUrl,
  },
  password: {
    ...connection,
    variables: ['DATABASE_PASSWORD', 'PGPASSWORD'],
    describe: 'The password alone, so that the URL can be shared. `~/.pgpass` is asked where there is none.',
    inFile: (s) => s.password,
  },
  service: {
    ...connection,
    variables: ['PGSERVICE'],
    describe: 'A section of the service file (`~/.pg_service.conf`) instead of a URL.',
    inFile: (s) => s.service,
  },
  host: {
    ...connection,
    variables: ['PGHOST'],
    describe: 'The host, or the folder of its socket; it names a server where there is no URL.',
    inFile: nowhere,
  },
  port: { ...connection, variables: ['PGPORT'], describe: 'The port of `PGHOST`.', default: '5432', inFile: nowhere },
  user: {
    ...connection,
    variables: ['PGUSER'],
    describe: 'The login; the user of the operating system where none is named.',
    inFile: nowhere,
  },
  database: { ...connection, variables: ['PGDATABASE'], describe: 'The name of the database.', inFile: nowhere },
  sslMode: {
    ...connection,
    variables: ['PGSSLMODE'],
    describe: 'How the connection is encrypted and the server checked, with the meaning that libpq gives it.',
    default: 'prefer',
    choices: SSL_MODES,
    inFile: (s) => s.sslMode,
  },
  sslRootCert: {
    ...connection,
    variables: ['PGSSLROOTCERT'],
    describe: 'The certificate of the authority, or `system`; `~/.postgresql/root.crt` where that is there.',
    inFile: (s) => s.sslRootCert,
  },
  sslCert: {
    ...connection,
    variables: ['PGSSLCERT'],
    describe: "The client's own certificate; `~/.postgresql/postgresql.crt` where that is there.",
    inFile: (s) => s.sslCert,
  },
  sslKey: {
    ...connection,
    variables: ['PGSSLKEY'],
    describe: "The key of the client's certificate; `~/.postgresql/postgresql.key` where that is there.",
    inFile: (s) => s.sslKey,
  },
  targetSessionAttrs: {
    ...connection,
    variables: ['PGTARGETSESSIONATTRS'],
    describe: 'Of several hosts, the first that is like this is taken.',
    default: 'any',
    choices: TARGET_SESSION_ATTRS,
    inFile: (s) => s.targetSessionAttrs,
  },
  passfile: {
    ...behaviour,
    variables: ['PGPASSFILE'],
    describe: 'Where passwords are looked up when none is set; `~/.pgpass` otherwise.',
    inFile: nowhere,
  },
  applicationName: {
    ...behaviour,
    variables: ['DATABASE_APPLICATION_NAME'],
    describe: 'How manage_db appears in `pg_stat_activity`.',
    default: 'manage_db',
    inFile: (s) => s.applicationName,
  },
  connectTimeoutMs: {
    ...behaviour,
    variables: ['DATABASE_CONNECT_TIMEOUT_MS'],
    describe: 'How long reaching one host may take, in milliseconds.',
    number: { default: 10_000, min: 100, max: 600_000 },
    inFile: (s) => s.connectTimeoutMs,
  },
  poolMax: {
    ...behaviour,
    variables: ['DATABASE_POOL_MAX'],
    describe: 'The most connections in the pool of one environment.',
    number: { default: 10, min: 1, max: 1_000 },
    inFile: (s) => s.pool?.max,
  },
  poolIdleTimeoutMs: {
    ...behaviour,
    variables: ['DATABASE_POOL_IDLE_TIMEOUT_MS'],
    describe: 'How long an idle connection is kept, in milliseconds.',
    number: { default: 10_000, min: 0, max: HOUR },
    inFile: (s) => s.pool?.idleTimeoutMs,
  },
  statementTimeoutMs: {
    ...behaviour,
    variables: ['DATABASE_STATEMENT_TIMEOUT_MS'],
    describe: 'How long one statement of a session may take, in milliseconds; 0: as long as it takes.',
    number: { default: 0, min: 0, max: DAY },
    inFile: (s) => s.pool?.statementTimeoutMs,
  },
  lockTimeoutMs: {
    ...behaviour,
    variables: ['DATABASE_LOCK_TIMEOUT_MS'],
    describe: 'How long a statement of a session waits for a lock, in milliseconds; 0: without an end.',
    number: { default: 0, min: 0, max: HOUR },
    inFile: (s) => s.pool?.lockTimeoutMs,
  },
  idleInTransactionTimeoutMs: {
    ...behaviour,
    variables: ['DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS'],
    describe: 'After which time the server ends a session that is idle in a transaction, in milliseconds; 0: never.',
    number: { default: 0, min: 0, max: DAY },
    inFile: (s) => s.pool?.idleInTransactionTimeoutMs,
  },
  pgBinDir: {
    ...behaviour,
    variables: ['PG_BIN_DIR'],
    describe: 'The folder of `pg_dump`, `pg_restore` and `psql`; they are looked for only there then.',
    inFile: (s) => s.pgBinDir,
  },
  backupRecipients: {
    ...behaviour,
    variables: ['BACKUP_RECIPIENTS'],
    describe: 'For whom `create-backup --encrypt` encrypts: `age1…`, several of them by comma.',
    inFile: nowhere,
  },
  backupPassphrase: {
    ...behaviour,
    variables: ['BACKUP_PASSPHRASE'],
    describe: 'The passphrase that encrypts and decrypts backups, instead of recipients.',
    inFile: nowhere,
  },
  backupIdentity: {
    ...behaviour,
    variables: ['BACKUP_IDENTITY'],
    describe:
      'What decrypts backups: `AGE-SECRET-KEY-1…`, or the text of a file of them. Keep it where the backups are not.',
    inFile: nowhere,
  },
  maskingSalt: {
    ...behaviour,
    variables: ['MASKING_SALT'],
    describe:
      'The secret that masked copies are made with, 16 bytes or more, of the environment that is copied from. The same salt gives the same masked values.',
    inFile: nowhere,
  },
  s3AccessKeyId: {
    ...behaviour,
    variables: ['AWS_ACCESS_KEY_ID'],
    describe:
      "The key of the bucket of `--storage s3://…`. Without keys, AWS's own rules count: `AWS_PROFILE`, or the role of the machine.",
    inFile: nowhere,
  },
  s3SecretAccessKey: {
    ...behaviour,
    variables: ['AWS_SECRET_ACCESS_KEY'],
    describe: 'The other half of that key.',
    inFile: nowhere,
  },
  s3SessionToken: {
    ...behaviour,
    variables: ['AWS_SESSION_TOKEN'],
    describe: 'The token that belongs to a key for a limited time.',
    inFile: nowhere,
  },
  s3Region: {
    ...behaviour,
    variables: ['AWS_REGION', 'AWS_DEFAULT_REGION'],
    describe: 'The region of the bucket.',
    inFile: nowhere,
  },
  s3Endpoint: {
    ...behaviour,
    variables: ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'],
    describe: "The storage, where it is not Amazon's: `https://minio.clinic.example`.",
    inFile: nowhere,
  },
} as const satisfies Record<string, SettingDefinition>;

export type SettingName = keyof typeof SETTINGS;

/** The settings that are whole numbers. */
export type NumberSetting = {
  [Name in SettingName]: (typeof SETTINGS)[Name] extends { readonly number: WholeNumber } ? Name : never;
}[SettingName];

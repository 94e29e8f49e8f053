import type { EnvironmentSection } from './config-file.js';
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
  readonly inFile: (section: EnvironmentSection) => string | number | SecretReference | undefined;
}

const connection = { isConnection: true } as const;
const behaviour = { isConnection: false } as const;
const nowhere = (): undefined => undefined;

/** Every setting of an environment. The one list: resolution, `show-config` and `.env.example` follow it. */
export const SETTINGS = {
  databaseUrl: { ...connection, variables: ['DATABASE_URL'], inFile: (s) => s.databaseUrl },
  password: {
    ...connection,
    variables: ['DATABASE_PASSWORD', 'PGPASSWORD'],
    inFile: (s) => s.password,
  },
  service: { ...connection, variables: ['PGSERVICE'], inFile: (s) => s.service },
  host: { ...connection, variables: ['PGHOST'], inFile: nowhere },
  port: { ...connection, variables: ['PGPORT'], inFile: nowhere },
  user: { ...connection, variables: ['PGUSER'], inFile: nowhere },
  database: { ...connection, variables: ['PGDATABASE'], inFile: nowhere },
  sslMode: { ...connection, variables: ['PGSSLMODE'], inFile: (s) => s.sslMode },
  sslRootCert: { ...connection, variables: ['PGSSLROOTCERT'], inFile: (s) => s.sslRootCert },
  sslCert: { ...connection, variables: ['PGSSLCERT'], inFile: (s) => s.sslCert },
  sslKey: { ...connection, variables: ['PGSSLKEY'], inFile: (s) => s.sslKey },
  targetSessionAttrs: { ...connection, variables: ['PGTARGETSESSIONATTRS'], inFile: (s) => s.targetSessionAttrs },
  passfile: { ...behaviour, variables: ['PGPASSFILE'], inFile: nowhere },
  applicationName: { ...behaviour, variables: ['DATABASE_APPLICATION_NAME'], inFile: (s) => s.applicationName },
  connectTimeoutMs: { ...behaviour, variables: ['DATABASE_CONNECT_TIMEOUT_MS'], inFile: (s) => s.connectTimeoutMs },
  poolMax: { ...behaviour, variables: ['DATABASE_POOL_MAX'], inFile: (s) => s.pool?.max },
  poolIdleTimeoutMs: {
    ...behaviour,
    variables: ['DATABASE_POOL_IDLE_TIMEOUT_MS'],
    inFile: (s) => s.pool?.idleTimeoutMs,
  },
  statementTimeoutMs: {
    ...behaviour,
    variables: ['DATABASE_STATEMENT_TIMEOUT_MS'],
    inFile: (s) => s.pool?.statementTimeoutMs,
  },
  lockTimeoutMs: { ...behaviour, variables: ['DATABASE_LOCK_TIMEOUT_MS'], inFile: (s) => s.pool?.lockTimeoutMs },
  idleInTransactionTimeoutMs: {
    ...behaviour,
    variables: ['DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS'],
    inFile: (s) => s.pool?.idleInTransactionTimeoutMs,
  },
  pgBinDir: { ...behaviour, variables: ['PG_BIN_DIR'], inFile: (s) => s.pgBinDir },
  backupRecipients: { ...behaviour, variables: ['BACKUP_RECIPIENTS'], inFile: nowhere },
  backupPassphrase: { ...behaviour, variables: ['BACKUP_PASSPHRASE'], inFile: nowhere },
  backupIdentity: { ...behaviour, variables: ['BACKUP_IDENTITY'], inFile: nowhere },
  maskingSalt: { ...behaviour, variables: ['MASKING_SALT'], inFile: nowhere },
  s3AccessKeyId: { ...behaviour, variables: ['AWS_ACCESS_KEY_ID'], inFile: nowhere },
  s3SecretAccessKey: { ...behaviour, variables: ['AWS_SECRET_ACCESS_KEY'], inFile: nowhere },
  s3SessionToken: { ...behaviour, variables: ['AWS_SESSION_TOKEN'], inFile: nowhere },
  s3Region: { ...behaviour, variables: ['AWS_REGION', 'AWS_DEFAULT_REGION'], inFile: nowhere },
  s3Endpoint: { ...behaviour, variables: ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'], inFile: nowhere },
} as const satisfies Record<string, SettingDefinition>;

export type SettingName = keyof typeof SETTINGS;

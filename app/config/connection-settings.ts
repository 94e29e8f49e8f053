/** How to reach one database, completely resolved: nothing is looked up in the process environment after this. */
export interface ConnectionSettings {
  readonly environment: string;
  /** `embedded`: manage_db's own development server, which is started when it is needed. */
  readonly server: 'embedded' | 'external';
  /** At least one. A host that begins with `/` is the folder of a Unix socket. */
  readonly hosts: readonly HostAddress[];
  readonly user: string;
  readonly database: string;
  /** `null`: none configured; `.pgpass` is asked per host when connecting. */
  readonly password: string | null;
  readonly passfile: string | null;
  readonly ssl: SslSettings;
  readonly targetSessionAttrs: TargetSessionAttrs;
  /** Milliseconds, for reaching one host including authentication. */
  readonly connectTimeoutMs: number;
  readonly applicationName: string;
  /** The server's command-line options of libpq's `options`, or `null`. */
  readonly options: string | null;
  readonly pool: PoolSettings;
  /** The folder that alone is searched for `pg_dump` and its like, or `null`. */
  readonly pgBinDir: string | null;
}

export interface HostAddress {
  readonly host: string;
  readonly port: number;
}

export interface SslSettings {
  readonly mode: SslMode;
  readonly rootCert: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

export const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

export const TARGET_SESSION_ATTRS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type TargetSessionAttrs = (typeof TARGET_SESSION_ATTRS)[number];

export interface PoolSettings {
  readonly max: number;
  readonly idleTimeoutMs: number;
  /** 0 means no limit. */
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
}

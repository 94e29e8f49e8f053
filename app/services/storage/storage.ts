import type { Readable } from 'node:stream';

/** A file of the storage. Its key is its path: names with `/` between them. */
export interface StoredFile {
  readonly key: string;
  readonly sizeBytes: number;
  /** ISO 8601. */
  readonly modifiedAt: string;
}

export interface StorageOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions extends StorageOptions {
  /** The SHA-256 (hex) that the content must have, where it is known before: with another one nothing is stored. */
  readonly sha256?: string | undefined;
  /** About how many bytes will come, where that is known: an object storage needs larger parts for very large files. */
  readonly expectedBytes?: number | undefined;
}

export interface ReadOptions extends StorageOptions {
  /** The SHA-256 (hex) that the content must have, for instance from a manifest. */
  readonly sha256?: string | undefined;
}

export interface Written {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/**
 * A place for files that are written once, whole or not at all. Everything throws `INTERRUPTED` when the signal is
 * aborted, and `USAGE` for a key that is none (`../x`, `/x`, `a//b`, control characters).
 */
export interface BackupStorage {
  /** For messages: a path, or `s3://bucket/prefix`. */
  readonly location: string;

  /** Where its keys are paths of this machine's; `null`: elsewhere. */
  readonly folder: string | null;

  /** The files whose keys begin with `prefix`, in the order of their keys; not those that are still being written. */
  list(prefix: string, options?: StorageOptions): Promise<readonly StoredFile[]>;

  /** One file, or `null`. Its SHA-256 where the storage has kept it (a folder does not). */
  head(key: string, options?: StorageOptions): Promise<(StoredFile & { readonly sha256: string | null }) | null>;

  /**
   * The content as a stream. It fails with `BACKUP_INVALID`, at its end at the latest, when it is not what was written:
   * until it has ended nothing of it must count.
   *
   * @throws ManageDbError `NOT_FOUND`
   */
  read(key: string, options?: ReadOptions): Promise<Readable>;

  /**
   * Stores what `content` gives. Until it has been stored whole, the key has its old content or none; a failure leaves
   * nothing behind that could be removed, and is thrown as it is when it came from `content`.
   *
   * @throws ManageDbError `STORAGE_FAILED`, `BACKUP_INVALID` where the content has another `sha256`
   */
  write(key: string, content: Readable, options?: WriteOptions): Promise<Written>;

  /** Removes a file; one that is not there is no error. */
  remove(key: string, options?: StorageOptions): Promise<void>;

  /** Removes what writers that were killed before `olderThan` have left behind; returns how many such leftovers there were. */
  removeUnfinished(olderThan: Date, options?: StorageOptions): Promise<number>;

  /** Ends its connections. */
  close(): void;
}

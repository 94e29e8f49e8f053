/** Where backups are kept: a local folder, or a bucket of an S3-compatible object storage. */
export { folderStorage } from './storage/folder-storage.js';
export { openStorage, type S3Access } from './storage/open-storage.js';
export { type S3StorageOptions, s3Storage } from './storage/s3-storage.js';
export type { BackupStorage } from './storage/storage.js';

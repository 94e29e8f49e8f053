import { randomBytes } from 'node:crypto';

/** `20261121T033400Z-ab12cd`, or `20261121T033400Z-ab12cd-before-the-upgrade`. */
const ID = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z-[0-9a-f]{6}(?:-[a-z0-9-]+)?$/;

const LONGEST_SLUG = 40;

/** A new id: sorts by time, differs from one made in the same second, and is safe as a name of a folder anywhere. */
export function newBackupId(at: Date, label: string | null): string {
  const slug = label === null ? '' : slugOf(label);
  return [`${compactTime(at)}Z`, randomBytes(3).toString('hex'), ...(slug === '' ? [] : [slug])].join('-');
}

/** `20261121T033400`, in UTC. */
export function compactTime(at: Date): string {
  return at.toISOString().slice(0, 19).replace(/[-:]/g, '');
}

export function isBackupId(text: string): boolean {
  return ID.test(text);
}

/** When the backup was begun, to the second, or `null` where `id` is none. */
export function timeOfBackupId(id: string): string | null {
  const [, year, month, day, hour, minute, second] = ID.exec(id) ?? [];
  return year === undefined ? null : `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
}

function slugOf(label: string): string {
  const words = label
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, LONGEST_SLUG);
  return words.replace(/^-+|-+$/g, '');
}

import { userInfo } from 'node:os';

/** The user of the operating system; its number where it has no name. */
export function osUser(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}

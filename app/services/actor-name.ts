import { userInfo } from 'node:os';
import { currentActor } from './actor.js';

/** Who is behind an operation: the application's user where it has told us, else the user of the operating system. */
export function actorName(): string {
  return currentActor() ?? osUser();
}

/** The user of the operating system; its number where it has no name. */
export function osUser(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}

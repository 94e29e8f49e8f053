import { osUser } from '../core/os-user.js';
import { currentActor } from './actor.js';

/** Who is behind an operation: the application's user where it has told us, else the user of the operating system. */
export function actorName(): string {
  return currentActor() ?? osUser();
}

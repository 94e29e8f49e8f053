import { currentEnv } from './environment.js';

/**
 * A command for a hint, with the environment that this call works on: whoever copies it must not meet another database.
 * For code behind the gate, which pins the environment, and has no target at hand.
 *
 * @example nextCommand('show-all-migrations') // 'manage_db show-all-migrations --env testing'
 */
export function nextCommand(words: string): string {
  return `manage_db ${words} --env ${currentEnv()}`;
}

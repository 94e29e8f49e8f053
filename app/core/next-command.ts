import { currentEnv } from './environment.js';

/**
 * A command for a hint, with the environment that this call works on: whoever copies it must not meet another database.
 * For code behind the gate, which pins the environment, and has no target at hand.
 *
 * @param environment where there is no gate that pins it
 * @example nextCommand('show-all-migrations') // 'manage_db show-all-migrations --env testing'
 */
export function nextCommand(words: string, environment = currentEnv()): string {
  return `manage_db ${words} --env ${environment}`;
}

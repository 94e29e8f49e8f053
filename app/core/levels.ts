/** What a login may do, each level including those before it. */
export const LEVELS = ['viewer', 'operator', 'admin'] as const;
export type Level = (typeof LEVELS)[number];

/**
 * Whether `level` is enough for what needs `required`.
 *
 * @example reaches('admin', 'operator') // true
 */
export function reaches(level: Level, required: Level): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(required);
}

import { ManageDbError } from '../../errors.js';
import { listed } from '../../listed.js';
import type { CopiedPart, CopyStrategy } from './copy-plan.js';
import type { CopyRequest } from './request.js';

export interface ChosenStrategy {
  readonly strategy: CopyStrategy;
  /** Why, in a sentence. */
  readonly because: string;
}

/** What is known about the source and the target, as far as a template is concerned. */
export interface TemplateFacts {
  readonly isSameServer: boolean;
  readonly isSourceProtected: boolean;
  /** Whether the login of the target may copy the database itself. */
  readonly mayUse: boolean;
  readonly login: string;
  /** Who else is connected to the source: `psql (pid 3, user app)`. */
  readonly users: readonly string[];
  readonly preparedTransactions: number;
}

/**
 * The wanted strategy, or the fastest one that is possible. Pure.
 *
 * @throws ManageDbError `USAGE` where a template was asked for that is not possible, with everything that is in the way
 * @example chooseStrategy({ strategy: undefined, part: 'all', … }, facts).because
 */
export function chooseStrategy(
  request: Pick<CopyRequest, 'strategy' | 'part' | 'isMasked' | 'without'>,
  facts: TemplateFacts,
): ChosenStrategy {
  const wanted = request.strategy;
  if (wanted === 'stream') return { strategy: 'stream', because: 'It was asked for.' };
  const obstacles = [...obstaclesOfRequest(request), ...obstaclesOf(facts)];
  const [first] = obstacles;
  if (first === undefined) {
    const because =
      wanted === 'template'
        ? 'It was asked for.'
        : 'Source and target are on one server, and the source is open and idle.';
    return { strategy: 'template', because };
  }
  if (wanted === undefined) return { strategy: 'stream', because: `A template is not possible: ${first}.` };
  throw new ManageDbError('USAGE', `A template is not possible: ${obstacles.join('; ')}. Nothing was changed.`, {
    hint: 'Leave out --strategy: then the copy is streamed.',
    details: { obstacles },
  });
}

const PARTS: Record<Exclude<CopiedPart, 'all'>, string> = {
  schema: 'no rows are wanted',
  data: 'only rows are wanted',
};

function obstaclesOfRequest({ part, isMasked, without }: Pick<CopyRequest, 'part' | 'isMasked' | 'without'>): string[] {
  return [
    ...(isMasked ? ['rows are masked on the way'] : []),
    ...(part === 'all' ? [] : [PARTS[part]]),
    ...(without.length === 0 ? [] : [`${without.join(', ')} would come along`]),
  ];
}

/** What is in the way of a copy by the server itself. */
export function obstaclesOf({
  isSameServer,
  isSourceProtected,
  mayUse,
  login,
  users,
  preparedTransactions,
}: TemplateFacts) {
  // what the target's server says about a database of that name would be about another one
  if (!isSameServer) return ['source and target are on different servers'];
  return [
    ...(isSourceProtected ? ['the source is protected, and would be shut while it is copied'] : []),
    ...(mayUse ? [] : [`${login} does not own the source`]),
    ...(users.length === 0 ? [] : [`the source is in use by ${listed(users, 3)}`]),
    ...(preparedTransactions === 0 ? [] : ['the source has prepared transactions']),
  ];
}

import type { TriggerMode } from '../../database/catalog/trigger-sql.js';
import { ManageDbError } from '../errors.js';
import type { EveryTable } from './every-table.js';

export type TriggerTiming = 'before' | 'after' | 'instead of';
export type TriggerEvent = 'insert' | 'update' | 'delete' | 'truncate';

/** What a declaration says; names are exact, as the catalog spells them (case kept, no quotes). */
export interface TriggerSpec {
  /**
   * `'users'`, `'clinic.users'`, `{ schema, name }` for names with a dot in them, or {@link everyTable}. Without a schema:
   * the table in `public`, else the only one of that name.
   */
  readonly table: string | TableName | EveryTable;
  readonly timing: TriggerTiming;
  readonly on: readonly TriggerEvent[];
  /** `'row'` by default. */
  readonly level?: 'row' | 'statement';
  /** Only when one of these columns is in the SET list. */
  readonly updateOf?: readonly string[];
  /** SQL condition over `old` and `new`, without the word WHEN. */
  readonly when?: string;
  /** `'validate_email'` (in the schema of the pack's functions) or `'app.validate_email'`. */
  readonly function: string;
  readonly args?: readonly string[];
  /** 1 by default; raise it with every change. */
  readonly version?: number;
  /** `origin` by default. */
  readonly mode?: TriggerMode;
  /** `false`: short for the mode `disabled`. */
  readonly enabled?: boolean;
  /** Names for the transition tables: all rows that the statement has changed, as they were and as they are. */
  readonly referencing?: TransitionTables;
  /** A constraint trigger: after each row, and at the end of the transaction where it is deferred. */
  readonly constraint?: ConstraintTiming;
  /** Only in these environments; everywhere by default. */
  readonly environments?: readonly string[];
}

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

export interface TransitionTables {
  readonly old?: string;
  readonly new?: string;
}

export interface ConstraintTiming {
  readonly deferrable?: boolean;
  readonly initiallyDeferred?: boolean;
}

/** A checked {@link TriggerSpec} with everything that was left out filled in. Plain data: no class, no function. */
export interface TriggerDeclaration
  extends Required<Pick<TriggerSpec, 'table' | 'timing' | 'on' | 'level' | 'function' | 'args' | 'version' | 'mode'>> {
  readonly kind: 'manage_db.trigger';
  readonly name: string;
  readonly updateOf: readonly string[] | null;
  readonly when: string | null;
  readonly referencing: { readonly old: string | null; readonly new: string | null };
  readonly constraint: Required<ConstraintTiming> | null;
  readonly environments: readonly string[] | null;
}

/**
 * Declares one trigger, or one on many tables. Nothing happens until `apply-db-triggers`.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` with every problem at once, in plain words
 * @example
 * export default defineTrigger('users_email_validation', {
 *   table: 'clinic.users', on: ['insert', 'update'], updateOf: ['email'], timing: 'before',
 *   function: 'validate_user_email', version: 3, environments: ['production'],
 * });
 */
export function defineTrigger(name: string, spec: TriggerSpec): TriggerDeclaration {
  const problems = problemsOf(name, spec);
  if (problems.length > 0) {
    throw new ManageDbError('INVALID_CONFIGURATION', `Trigger ${JSON.stringify(name)}: ${problems.join('; ')}.`, {
      hint: 'Correct the declaration, then run: manage_db apply-db-triggers --dry-run',
      details: { trigger: name, problems },
    });
  }
  return {
    kind: 'manage_db.trigger',
    name,
    table: spec.table,
    timing: spec.timing,
    on: spec.on,
    level: spec.level ?? 'row',
    updateOf: spec.updateOf ?? null,
    when: spec.when ?? null,
    function: spec.function,
    args: spec.args ?? [],
    version: spec.version ?? 1,
    mode: spec.mode ?? (spec.enabled === false ? 'disabled' : 'origin'),
    referencing: { old: spec.referencing?.old ?? null, new: spec.referencing?.new ?? null },
    constraint: spec.constraint === undefined ? null : timingOf(spec.constraint),
    environments: spec.environments ?? null,
  };
}

/** Deferred at first is a way of being deferrable. */
function timingOf({ deferrable, initiallyDeferred = false }: ConstraintTiming): Required<ConstraintTiming> {
  return { deferrable: deferrable ?? initiallyDeferred, initiallyDeferred };
}

/** Whether `value` came from {@link defineTrigger}, possibly of another copy of this module. */
export function isTriggerDeclaration(value: unknown): value is TriggerDeclaration {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'manage_db.trigger';
}

const KNOWN_KEYS = [
  'table',
  'timing',
  'on',
  'level',
  'updateOf',
  'when',
  'function',
  'args',
  'version',
  'mode',
  'enabled',
  'referencing',
  'constraint',
  'environments',
];

/** Declarations come from files that nobody type-checks: the types are checked here once more. */
function problemsOf(name: unknown, spec: TriggerSpec): string[] {
  if (typeof spec !== 'object' || spec === null) return ['it needs a table, a timing, events and a function'];
  const unknown = Object.keys(spec).filter((key) => !KNOWN_KEYS.includes(key));
  return [
    ...unknown.map((key) => `"${key}" is not known; known are ${KNOWN_KEYS.join(', ')}`),
    ...nameProblems(name),
    ...tableProblems(spec),
    ...eventProblems(spec),
    ...combinationProblems(spec),
    ...transitionProblems(spec),
    ...constraintProblems(spec),
    ...valueProblems(spec),
    ...modeProblems(spec),
  ];
}

function nameProblems(name: unknown): string[] {
  if (typeof name !== 'string' || name === '') return ['it needs a name'];
  if (Buffer.byteLength(name) > 63) return ['its name is longer than 63 bytes, and PostgreSQL would cut it'];
  return name.includes('\0') ? ['its name contains a zero byte'] : [];
}

function tableProblems({ table, timing }: TriggerSpec): string[] {
  if (typeof table === 'string') {
    return /^[^.]+(\.[^.]+)?$/.test(table)
      ? []
      : ["table must be 'name' or 'schema.name', or { schema, name } for names with dots"];
  }
  if (typeof table !== 'object' || table === null) return ['it needs a table'];
  if ('kind' in table) {
    return timing === 'instead of' ? ['INSTEAD OF is for views, and everyTable never means a view: name the view'] : [];
  }
  return isName(table.schema) && isName(table.name) ? [] : ['table must be { schema, name }'];
}

function eventProblems({ on, timing, level }: TriggerSpec): string[] {
  const problems: string[] = [];
  if (!['before', 'after', 'instead of'].includes(timing))
    problems.push("timing must be 'before', 'after' or 'instead of'");
  if (level !== undefined && level !== 'row' && level !== 'statement')
    problems.push("level must be 'row' or 'statement'");
  const events: readonly string[] = ['insert', 'update', 'delete', 'truncate'];
  if (!Array.isArray(on) || on.length === 0) return [...problems, `on must list at least one of ${events.join(', ')}`];
  const unknown = on.filter((event) => !events.includes(event));
  if (unknown.length > 0) problems.push(`on contains ${unknown.join(', ')}; possible are ${events.join(', ')}`);
  if (new Set(on).size < on.length) problems.push('on lists an event twice');
  return problems;
}

/** What PostgreSQL would refuse, said before it is asked. */
function combinationProblems({ on, timing, level = 'row', updateOf, when }: TriggerSpec): string[] {
  const events: readonly string[] = Array.isArray(on) ? on : [];
  const problems: string[] = [];
  if (events.includes('truncate') && level === 'row') problems.push("TRUNCATE has no rows: level must be 'statement'");
  if (timing === 'instead of') {
    if (level === 'statement') problems.push("INSTEAD OF fires for each row: level must be 'row'");
    if (events.includes('truncate')) problems.push('INSTEAD OF cannot be on truncate');
    if (when !== undefined) problems.push('INSTEAD OF triggers cannot have a when condition');
    if (updateOf !== undefined) problems.push('INSTEAD OF triggers cannot have updateOf');
  }
  if (updateOf !== undefined && !events.includes('update')) problems.push("updateOf needs 'update' in on");
  return problems;
}

function transitionProblems({ on, timing, updateOf, referencing, constraint }: TriggerSpec): string[] {
  if (referencing === undefined) return [];
  if (!isOptionsOf(referencing, ['old', 'new'], isName) || Object.keys(referencing).length === 0)
    return ['referencing must name transition tables: { old, new }'];
  const events: readonly string[] = Array.isArray(on) ? on : [];
  const problems: string[] = [];
  if (timing !== 'after') problems.push("transition tables exist when the statement is over: timing must be 'after'");
  if (events.length > 1) problems.push('transition tables are of one event: declare a trigger for each');
  if (events.includes('truncate')) problems.push('TRUNCATE has no transition tables');
  if (events.includes('insert') && referencing.old !== undefined) problems.push('INSERT has no old rows');
  if (events.includes('delete') && referencing.new !== undefined) problems.push('DELETE has no new rows');
  if (updateOf !== undefined) problems.push('transition tables and updateOf exclude each other');
  if (constraint !== undefined) problems.push('a constraint trigger cannot have transition tables');
  if (referencing.old !== undefined && referencing.old === referencing.new)
    problems.push('the two transition tables need different names');
  return problems;
}

function constraintProblems({ timing, level = 'row', constraint }: TriggerSpec): string[] {
  if (constraint === undefined) return [];
  if (!isOptionsOf(constraint, ['deferrable', 'initiallyDeferred'], (value) => typeof value === 'boolean'))
    return ['constraint must be { deferrable, initiallyDeferred }, each true or false'];
  const problems: string[] = [];
  if (timing !== 'after') problems.push("a constraint trigger fires after the row: timing must be 'after'");
  if (level !== 'row') problems.push("a constraint trigger fires for each row: level must be 'row'");
  if (constraint.initiallyDeferred === true && constraint.deferrable === false)
    problems.push('what is not deferrable cannot be deferred initially');
  return problems;
}

function modeProblems({ mode, enabled, timing }: TriggerSpec): string[] {
  const problems: string[] = [];
  if (timing === 'instead of' && (enabled === false || (mode !== undefined && mode !== 'origin')))
    problems.push('a trigger of a view fires in ordinary sessions, and cannot be switched');
  if (mode !== undefined && !TRIGGER_MODES.includes(mode))
    problems.push(`mode must be one of ${TRIGGER_MODES.join(', ')}`);
  if (enabled !== undefined && typeof enabled !== 'boolean') problems.push('enabled must be true or false');
  if (mode !== undefined && enabled !== undefined && enabled === (mode === 'disabled'))
    problems.push(`mode is ${mode}, and enabled says the opposite: leave enabled out`);
  return problems;
}

const TRIGGER_MODES: readonly TriggerMode[] = ['origin', 'replica', 'always', 'disabled'];

function valueProblems(spec: TriggerSpec): string[] {
  const { updateOf, when, args, version, environments } = spec;
  const problems: string[] = [];
  if (!isName(spec.function) || !/^[^.]+(\.[^.]+)?$/.test(spec.function))
    problems.push("function must be 'name' or 'schema.name'");
  if (updateOf !== undefined && !isNameList(updateOf)) problems.push('updateOf must list column names');
  if (when !== undefined && (typeof when !== 'string' || when.trim() === ''))
    problems.push('when must be an SQL condition');
  if (
    args !== undefined &&
    !(Array.isArray(args) && args.every((arg) => typeof arg === 'string' && !arg.includes('\0')))
  ) {
    problems.push('args must be texts; PostgreSQL passes nothing else to a trigger function');
  }
  if (version !== undefined && !(Number.isInteger(version) && version > 0)) problems.push('version must be 1, 2, 3 …');
  if (environments !== undefined && !isNameList(environments))
    problems.push('environments must list environment names');
  return problems;
}

/** An object with some of `keys` and no others. */
function isOptionsOf(value: unknown, keys: readonly string[], isRight: (item: unknown) => boolean): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(([key, item]) => keys.includes(key) && (item === undefined || isRight(item)));
}

function isNameList(value: unknown): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isName) && new Set(value).size === value.length;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.includes('\0');
}

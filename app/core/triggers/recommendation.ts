import { shellQuote } from '../shell-quote.js';
import type { JudgedFunction } from './judged-function.js';
import type { TriggerRef } from './planned-trigger.js';
import type { DriftState } from './trigger-report.js';

/** What a recommendation rests on. */
export interface Advised extends TriggerRef {
  readonly state: DriftState;
  readonly isDrift: boolean;
  /** It was installed from a declaration that is gone, or calls a generated function and was never declared. */
  readonly isUndeclared: boolean;
  /** Healing and applying drop it, because the pack that generated it does not declare it any more. */
  readonly isRemovable: boolean;
  /** Where it is: every command says so. */
  readonly environment: string;
  /** The function that it shall call. */
  readonly function: JudgedFunction;
}

/** What to do, in a sentence or two. */
export function recommend(advised: Advised): string {
  const { state, isDrift, isUndeclared } = advised;
  const { drop, diff, enable, disable, apply, heal } = commandsFor(advised);
  const dropped = advised.isRemovable ? heal : drop;
  const undeclared = isUndeclared ? ` It is not declared any more either: drop it (${drop}), or declare it again.` : '';
  switch (state) {
    case 'in_sync':
      return 'Nothing to do.';
    case 'pending':
      if (!isDrift) return 'It is there as declared; the next apply writes it down.';
      return withFunction(advised, 'Apply it', apply);
    case 'stale':
      return `Generate its function anew: ${heal}`;
    case 'dropped':
      return withFunction(advised, 'Bring it back', heal);
    case 'disabled':
      return isDrift
        ? `Somebody disabled it by hand. Enable it (${heal}), or mean it: ${disable}.${undeclared}`
        : `It was disabled on purpose. To let it fire again: ${enable}`;
    case 'unknown':
      return isDrift
        ? `It calls a function that was generated for another trigger, and is not declared. Drop it: ${dropped}`
        : 'It was made by somebody else. Declare it in the triggers folder, or leave it.';
    case 'manual_override':
      return `Look at it (${diff}); ${overriding(advised)}${undeclared}`;
    case 'drifted':
      if (!isUndeclared) return withFunction(advised, 'Apply the new one', apply);
      return `It is not declared any more. Drop it (${dropped}), or declare it again.`;
  }
}

/** A function without a file counts as right as it is: there is nothing to overwrite it with. */
function overriding(advised: Advised): string {
  const { overridden, file, schema, name } = advised.function;
  const { override } = commandsFor(advised);
  if (overridden.length === 0 || file !== null)
    return `then take the change into the declaration, or overwrite it: ${override}.`;
  return `no file says what ${schema}.${name}() should be. Put that into functions/${name}.sql of the triggers folder, and the function is overwritten by ${override}; without a file, the same takes it as right as it is.`;
}

function commandsFor({ schema, table, name, environment }: TriggerRef & Pick<Advised, 'environment'>) {
  const there = `--env ${environment}`;
  const on = `--table ${shellQuote(`${schema}.${table}`)} ${there}`;
  const about = `${shellQuote(name)} ${on}`;
  return {
    apply: `manage_db apply-db-triggers ${on}`,
    heal: `manage_db verify-db-triggers --fix ${there}`,
    override: `manage_db verify-db-triggers --fix --override-drift ${there}`,
    drop: `manage_db drop-db-trigger ${about}`,
    diff: `manage_db diff-db-triggers ${about}`,
    enable: `manage_db enable-db-trigger ${about}`,
    disable: `manage_db disable-db-trigger ${about}`,
  };
}

/** Whether its function comes with it, where that is gone too. */
function withFunction({ function: called }: Advised, what: string, command: string): string {
  const { isMissing, file, schema, name } = called;
  if (!isMissing) return `${what}: ${command}`;
  const signature = `${schema}.${name}()`;
  if (file === null) {
    return `Its function ${signature} does not exist, and no file brings it back: put it into functions/${name}.sql of the triggers folder. Then: ${command}`;
  }
  return `${what}, with its function ${signature} from ${file.source.path}: ${command}`;
}

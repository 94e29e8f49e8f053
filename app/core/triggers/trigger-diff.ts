import type { DeclaredState } from './declared-state.js';
import type { JudgedFunction, JudgedTrigger } from './drift.js';
import { declaredWords, PARTS, type TriggerWords, wordsOf } from './trigger-words.js';

/** A trigger and its function as they should be and as they are; empty where they should not be, or are not. */
export interface TriggerSides {
  readonly expected: string;
  readonly actual: string;
}

/** Both sides of a trigger in the same words, for a line by line comparison. Its function only where that differs. */
export function sidesOf(judged: JudgedTrigger): TriggerSides {
  const { report, declared, registered, live } = judged;
  const head = `trigger ${report.name} on ${report.schema}.${report.table}`;
  const wanted = expectedWords(judged);
  const isExpected = report.state !== 'unknown' && !(declared === null && report.state === 'drifted');
  const functions = functionSides(judged.function);
  return {
    expected: isExpected && wanted !== null ? `${text(head, wanted, report.wantedMode)}${functions.expected}` : '',
    actual: live === null ? functions.actual : `${text(head, wordsOf(live), modeOf(live))}${functions.actual}`,
  };
  function modeOf(one: NonNullable<typeof live>): string {
    const others = one.otherModes.map(({ schema, table, mode }) => `${mode} on ${schema}.${table}`);
    return [one.mode, ...others].join(', ');
  }
  function expectedWords({ declared: state }: JudgedTrigger): TriggerWords | null {
    if (state === null) return registered === null ? null : wordsOf(registered);
    return { ...declaredWords(state), ...printedCondition(state, judged) };
  }
}

/** Where the condition is the one that was installed, as the server has printed that. */
function printedCondition(state: DeclaredState, { registered }: JudgedTrigger): Partial<TriggerWords> {
  const installed = registered?.declaration as Partial<DeclaredState> | null | undefined;
  return registered !== null && installed?.when === state.when ? { condition: registered.fields.when } : {};
}

function text(head: string, words: TriggerWords, mode: string | null): string {
  const lines = PARTS.filter((part) => words[part] !== null).map((part) => `  ${part.padEnd(10)} ${words[part]}`);
  return [head, ...lines, `  ${'mode'.padEnd(10)} ${mode ?? 'origin'}`, ''].join('\n');
}

function functionSides({ live, registered, file, overridden, hasNewFile }: JudgedFunction): TriggerSides {
  if (live !== null && overridden.length === 0 && !hasNewFile) return { expected: '', actual: '' };
  const template = registered?.definition ?? live?.definition ?? null;
  const expected = hasNewFile && template !== null ? withBody(template, file?.body ?? null) : (template ?? '');
  return { expected: terminated(expected), actual: terminated(live?.definition ?? '') };
}

/** What the file would make of the function, printed as the server prints it. */
function withBody(definition: string, body: string | null): string {
  const start = definition.indexOf('\nAS ');
  return start === -1 || body === null ? definition : `${definition.slice(0, start)}\nAS $function$${body}$function$\n`;
}

function terminated(definition: string): string {
  return definition === '' || definition.endsWith('\n') ? definition : `${definition}\n`;
}

import { parseSqlScript } from '../../services/sql-script.js';
import type { DeclaredState } from './declared-state.js';
import type { JudgedTrigger } from './drift.js';
import { splitDefinition } from './function-definition.js';
import type { FunctionFile } from './function-file.js';
import type { JudgedFunction } from './judged-function.js';
import { declaredWords, PARTS, type TriggerWords, wordsOf } from './trigger-words.js';

/** A trigger and its function as they should be and as they are; empty where they should not be, or are not. */
export interface TriggerSides {
  readonly expected: string;
  readonly actual: string;
}

/**
 * Both sides of a trigger in the same words, for a line by line comparison. Its function only where that differs. What
 * cannot be seen in the trigger or its function stands as it was found.
 */
export async function sidesOf(judged: JudgedTrigger): Promise<TriggerSides> {
  const trigger = triggerSides(judged);
  const functions = await functionSides(judged.function);
  const sides = {
    expected: trigger.expected === '' ? '' : `${trigger.expected}${functions.expected}`,
    actual: `${trigger.actual}${functions.actual}`,
  };
  if (sides.expected !== sides.actual) return sides;
  const { differences } = judged.report;
  const found = differences.length > 0 ? differences : [{ field: 'registered', expected: 'yes', actual: 'no' }];
  const lines = (side: 'expected' | 'actual') => found.map((one) => line(one.field, one[side] ?? 'none')).join('');
  return { expected: `${sides.expected}${lines('expected')}`, actual: `${sides.actual}${lines('actual')}` };
}

function triggerSides(judged: JudgedTrigger): TriggerSides {
  const { report, declared, registered, live } = judged;
  const head = `trigger ${report.name} on ${report.schema}.${report.table}\n`;
  const wanted = expectedWords(judged);
  const isExpected = report.state !== 'unknown' && !(declared === null && report.state === 'drifted');
  const isNewVersion = declared !== null && registered !== null && declared.version !== registered.version;
  const version = (number: number): string => (isNewVersion ? line('version', String(number)) : '');
  const expected =
    isExpected && wanted !== null
      ? `${head}${text(wanted)}${line('mode', report.wantedMode ?? 'origin')}${version(declared?.version ?? 0)}`
      : '';
  if (live === null) return { expected, actual: '' };
  const others = live.otherModes.map(({ schema, table, mode }) => `${mode} on ${schema}.${table}`);
  const mode = [live.mode, ...others].join(', ');
  return {
    expected,
    actual: `${head}${text(wordsOf(live))}${line('mode', mode)}${version(registered?.version ?? 0)}`,
  };
}

function expectedWords(judged: JudgedTrigger): TriggerWords | null {
  const { declared, registered } = judged;
  if (declared === null) return registered === null ? null : wordsOf(registered);
  return { ...declaredWords(declared), ...printedCondition(declared, judged) };
}

/** Where the condition is the one that was installed, as the server prints that. */
function printedCondition(state: DeclaredState, { registered, live, byHand }: JudgedTrigger): Partial<TriggerWords> {
  const installed = registered?.declaration as Partial<DeclaredState> | null | undefined;
  if (registered === null || installed?.when !== state.when) return {};
  // of another major version, it is printed otherwise and yet the same
  const isSame = live !== null && byHand.every(({ field }) => field !== 'condition');
  return { condition: isSame ? live.fields.when : registered.fields.when };
}

function text(words: TriggerWords): string {
  return PARTS.map((part) => (words[part] === null ? '' : line(part, words[part]))).join('');
}

function line(field: string, value: string): string {
  return `  ${field.padEnd(10)} ${value}\n`;
}

async function functionSides(called: JudgedFunction): Promise<TriggerSides> {
  const { live, registered, file, overridden, hasNewFile } = called;
  if (live !== null && overridden.length === 0 && !hasNewFile) return { expected: '', actual: '' };
  const installed = registered?.definition ?? live?.definition ?? null;
  const isOtherOwner = overridden.some(({ field }) => field === 'function owner');
  const owner = (name: string | undefined): string => (isOtherOwner && name !== undefined ? `owner ${name}\n` : '');
  const expected =
    installed === null
      ? (file?.source.sql ?? '')
      : file !== null && hasNewFile
        ? withBody(installed, await bodyOf(file))
        : installed;
  return {
    expected: `${terminated(expected)}${owner(registered?.owner)}`,
    actual: `${terminated(live?.definition ?? '')}${owner(live?.owner)}`,
  };
}

/** Of a generated function it is not known before somebody wants to see it. */
async function bodyOf({ body, isGenerated, source }: FunctionFile): Promise<string | null> {
  if (body !== null || !isGenerated) return body;
  return (await parseSqlScript(source)).find(({ kind }) => kind === 'create function')?.body ?? null;
}

/** What the file would make of the function, printed as the server prints it. */
function withBody(definition: string, body: string | null): string {
  const { head } = splitDefinition(definition);
  return head === '' || body === null ? definition : `${head}\nAS $function$${body}$function$\n`;
}

function terminated(definition: string): string {
  return definition === '' || definition.endsWith('\n') ? definition : `${definition}\n`;
}

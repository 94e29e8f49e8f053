import type { TestedTrigger, TestState, TestTriggersResult } from '../../app/core/db-operations/trigger-test.js';
import type { Paint } from './paint.js';
import { printable } from './printable.js';
import { renderTable } from './table.js';
import { formatCount } from './units.js';

const EVENTS = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'] as const;
const WORDS: Readonly<Record<TestState, string>> = {
  fired: 'fired',
  did_not_fire: 'did not fire',
  failed: 'failed',
  not_tested: 'not tested',
};

/** One line a trigger, what there is to say about some of them below, and the counts at the end. */
export function renderTestedTriggers({ triggers, counts, functionCheck }: TestTriggersResult, paint: Paint): string {
  const lines: string[] = [];
  if (triggers.length > 0) {
    lines.push(
      renderTable(
        paint,
        ['table', 'trigger', ...EVENTS.map((event) => event.toLowerCase())],
        triggers.map((trigger) => [
          printable(`${trigger.schema}.${trigger.table}`),
          printable(trigger.name),
          ...EVENTS.map((event) => cell(trigger, event, paint)),
        ]),
      ),
    );
  }
  const remarks = triggers.flatMap((trigger) => remarksOn(trigger, paint));
  if (remarks.length > 0) lines.push('', ...remarks);
  const states = (Object.keys(WORDS) as TestState[]).filter((state) => state === 'fired' || counts[state] > 0);
  lines.push('', states.map((state) => `${formatCount(counts[state])} ${WORDS[state]}`).join(', '));
  if (functionCheck.detail !== null) lines.push(paint.dim(`plpgsql_check was skipped: ${functionCheck.detail}`));
  return lines.join('\n').replace(/^\n/, '');
}

function cell({ events }: TestedTrigger, wanted: (typeof EVENTS)[number], paint: Paint): string {
  const tested = events.find(({ event }) => event === wanted);
  return tested === undefined ? '' : coloured(tested.state, WORDS[tested.state], paint);
}

function coloured(state: TestState, text: string, paint: Paint): string {
  if (state === 'failed') return paint.red(text);
  return state === 'fired' ? paint.green(text) : paint.yellow(text);
}

/** A reason that several events share is said once. */
function remarksOn({ schema, table, name, events, functionErrors }: TestedTrigger, paint: Paint): readonly string[] {
  const place = printable(`${schema}.${table}  ${name}`);
  const details = [...new Set(events.flatMap(({ detail }) => detail ?? []))];
  return [
    ...details.map((detail) => {
      const [first, ...others] = events.filter((event) => event.detail === detail);
      const which = [first, ...others].map((event) => event?.event).join(', ');
      return `${coloured(first?.state ?? 'fired', '-', paint)} ${place}  ${which}: ${printable(detail)}`;
    }),
    ...functionErrors.map((error) => `${paint.red('-')} ${place}  plpgsql_check: ${printable(error)}`),
  ];
}

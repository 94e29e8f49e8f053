// The table of docs/safety.md, made by the function that decides.
import { SECURITY_SETTINGS, type SecuritySettings } from '../../app/config/settings.js';
import { type Decision, decide, type GateFacts, type GateRequest } from '../../app/core/safety/decide.js';
import {
  commandOf,
  OPERATIONS,
  type OperationDefinition,
  type OperationName,
} from '../../app/core/safety/operations.js';

const BEGIN = '<!-- decisions: made by npm run docs -->';
const END = '<!-- /decisions -->';

const TEXT = 'the text';
const OPEN = SECURITY_SETTINGS.development as SecuritySettings;
const CLOSED = SECURITY_SETTINGS.production as SecuritySettings;

const openStamp = { environment: 'development', protected: false, killSwitch: false };
const productionStamp = { environment: 'production', protected: true, killSwitch: true };

const elsewhere: GateFacts = {
  environment: 'development',
  database: 'clinic',
  security: OPEN,
  stamp: { state: 'trusted', because: '', says: openStamp },
  isEmpty: false,
  isTemplate: false,
  isOwnServer: false,
  endpointOf: null,
  access: { login: 'alice', level: 'admin', why: '' },
  killSwitch: { isOn: false, isConfirmationRequired: true, lock: null },
  confirmationText: TEXT,
};
const production: GateFacts = {
  ...elsewhere,
  environment: 'production',
  security: CLOSED,
  stamp: { state: 'trusted', because: '', says: productionStamp },
  killSwitch: { ...elsewhere.killSwitch, isOn: true },
};

/** The columns: what kind of database it is, as an admin meets it. */
const SITUATIONS: readonly (readonly [title: string, facts: GateFacts])[] = [
  ['own server', { ...elsewhere, isOwnServer: true }],
  ['stamped, open', elsewhere],
  ['unstamped, not empty', { ...elsewhere, stamp: { state: 'unstamped', because: '', says: null } }],
  ['empty or missing', { ...elsewhere, isEmpty: true, stamp: { state: 'missing', because: '', says: null } }],
  ['copy of an open one', { ...elsewhere, stamp: { state: 'copy', because: '', says: openStamp } }],
  ['copy of production', { ...elsewhere, stamp: { state: 'copy', because: '', says: productionStamp } }],
  ['mismatch', { ...elsewhere, stamp: { state: 'mismatch', because: '', says: productionStamp } }],
  ['production', production],
  ['production, missing', { ...production, isEmpty: true, stamp: { state: 'missing', because: '', says: null } }],
  ['production, upgraded', { ...production, stamp: { ...production.stamp, state: 'upgraded' } }],
  ['engaged', { ...elsewhere, killSwitch: { ...elsewhere.killSwitch, lock: 'engaged' } }],
];

/** The manual with the table of now in it. */
export function withDecisions(manual: string): string {
  const [before = '', rest = ''] = manual.split(BEGIN);
  const after = rest.split(END)[1] ?? '';
  return `${before}${BEGIN}\n\n${decisionTable()}\n\n${END}${after}`;
}

/** The whole table in Markdown. */
export function decisionTable(): string {
  const titles = SITUATIONS.map(([title]) => title);
  const rows = (Object.keys(OPERATIONS) as OperationName[]).map((operation) => {
    const { level }: OperationDefinition = OPERATIONS[operation];
    return [`\`${commandOf(operation)}\``, level, ...SITUATIONS.map(([, facts]) => whatItTakes(operation, facts))];
  });
  return [['', 'level', ...titles], ['', 'level', ...titles].map(() => '---'), ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

/** The least that lets the operation pass, or the code of a refusal that nothing changes. */
function whatItTakes(operation: OperationName, facts: GateFacts): string {
  const attempts: readonly (readonly [words: string, more: Partial<GateRequest>])[] = [
    ['–', {}],
    ['`--yes`', { consent: { yes: true } }],
    ['`--reason`', { consent: { reason: 'why' } }],
    ['ceremony', { consent: { confirm: TEXT, reason: 'why' }, isEnvironmentExplicit: true }],
    [
      'ceremony, override',
      { consent: { confirm: TEXT, reason: 'why' }, isEnvironmentExplicit: true, isKillSwitchOverridden: true },
    ],
  ];
  let last: Decision = { kind: 'allow' };
  for (const [words, more] of attempts) {
    last = decide(
      {
        operation,
        consent: {},
        isDryRun: false,
        isEnvironmentExplicit: false,
        isKillSwitchOverridden: false,
        ...more,
      },
      facts,
    );
    if (last.kind === 'allow') return words;
  }
  return last.kind === 'allow' ? '–' : `✗ ${last.code}`;
}

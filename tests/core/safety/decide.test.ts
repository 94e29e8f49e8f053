import { expect } from 'chai';
import { SECURITY_SETTINGS, type SecuritySettings } from '../../../app/config/settings.js';
import { LEVELS, type Level } from '../../../app/core/levels.js';
import type { Consent } from '../../../app/core/safety/consent.js';
import { decide, type GateFacts, type GateRequest } from '../../../app/core/safety/decide.js';
import { OPERATIONS, type OperationName } from '../../../app/core/safety/operations.js';

const TEXT = 'EXECUTE IT ON clinic';
const open = SECURITY_SETTINGS.development as SecuritySettings;
const closed = SECURITY_SETTINGS.production as SecuritySettings;

/* What each operation is, written down a second time: a change of the table must be meant. */
const LOOKS: OperationName[] = [
  'list-db-triggers',
  'verify-db-triggers',
  'diff-db-triggers',
  'compare-db',
  'propose-masking',
  'check-masking',
  'verify-audit-log',
  'show-audit-coverage',
  'inspect-db',
  'check-database',
  'whoami',
  'show-operation-log',
  'verify-operation-log',
  'list-previous-databases',
  'show-all-migrations',
  'lint-db-migration',
];
const READS: OperationName[] = [
  ...LOOKS,
  'kill-switch-status',
  'create-backup',
  'verify-backup',
  'read-for-copy',
  'create-db-migration',
  'rehearse-db-migration',
  'test-db-migration',
];
const DESTROYS: OperationName[] = [
  'drop-db-trigger',
  'restore-backup',
  'restore-unmasked-backup',
  'prune-backups',
  'undo-restore',
  'copy-db',
  'copy-db-unmasked',
  'undo-copy',
  'reset-database',
  'drop-all-tables',
  'rollback-db-migration',
  'redo-db-migration',
  'create-db-migration-server-wide',
  'rehearse-db-migration-server-wide',
  'test-db-migration-server-wide',
];
const FOR_OPERATORS: OperationName[] = [
  'enable-db-trigger',
  'disable-db-trigger',
  'test-db-triggers',
  'engage-kill-switch',
];
const FOR_OPEN_ONLY: OperationName[] = ['test-db-triggers'];
const WITHOUT_STAMP: OperationName[] = ['stamp-database', 'engage-kill-switch', 'release-kill-switch'];
const ALWAYS_WITH_CEREMONY: OperationName[] = ['restore-unmasked-backup', 'copy-db-unmasked'];
const PAST_KILL_SWITCH: OperationName[] = ['engage-kill-switch', 'release-kill-switch'];

const PLACES = {
  'own server': { security: open, isOwnServer: true },
  'open elsewhere': { security: open, isOwnServer: false },
  'open, wants yes': { security: { ...open, confirmation: 'yes' }, isOwnServer: true },
  'own server, wants reason': { security: { ...open, reasonRequired: true }, isOwnServer: true },
  'open, wants reason': { security: { ...open, reasonRequired: true }, isOwnServer: false },
  'open, wants text': { security: { ...open, confirmation: 'typed' }, isOwnServer: true },
  production: { security: closed, isOwnServer: false },
  'protected, wants no reason': { security: { ...closed, reasonRequired: false }, isOwnServer: false },
} as const;

type StampFacts = Pick<GateFacts, 'stamp' | 'isEmpty' | 'isTemplate' | 'endpointOf'>;
const stamp = (
  state: GateFacts['stamp']['state'],
  says: GateFacts['stamp']['says'],
  more: Partial<StampFacts> = {},
): StampFacts => ({
  stamp: { state, because: '', says },
  isEmpty: false,
  isTemplate: false,
  endpointOf: null,
  ...more,
});
const OPEN_ONE = { environment: 'development', protected: false, killSwitch: false };
const PRODUCTION = { environment: 'production', protected: true, killSwitch: true };
const STAMPS: Readonly<Record<string, StampFacts>> = {
  'trusted, open': stamp('trusted', OPEN_ONE),
  'trusted, production': stamp('trusted', PRODUCTION),
  unstamped: stamp('unstamped', null),
  'unstamped, empty': stamp('unstamped', null, { isEmpty: true }),
  'template, empty': stamp('unstamped', null, { isEmpty: true, isTemplate: true }),
  missing: stamp('missing', null, { isEmpty: true }),
  'copy of an open one': stamp('copy', OPEN_ONE),
  'copy of production': stamp('copy', PRODUCTION),
  'mismatch, open': stamp('mismatch', OPEN_ONE),
  'mismatch, production': stamp('mismatch', PRODUCTION),
  upgraded: stamp('upgraded', PRODUCTION),
  'upgraded, open': stamp('upgraded', OPEN_ONE),
  'endpoint of production': stamp('unstamped', null, { endpointOf: 'production' }),
};

const SWITCHES = {
  off: { isOn: false, lock: null, isOverridden: false, asks: true },
  on: { isOn: true, lock: null, isOverridden: false, asks: true },
  overridden: { isOn: true, lock: null, isOverridden: true, asks: true },
  'overridden, asks nothing': { isOn: true, lock: null, isOverridden: true, asks: false },
  locked: { isOn: false, lock: 'engaged', isOverridden: false, asks: true },
  'locked, overridden': { isOn: true, lock: 'engaged', isOverridden: true, asks: true },
} as const;

const CONSENTS: Readonly<Record<string, Consent>> = {
  nothing: {},
  yes: { yes: true },
  'yes with reason': { yes: true, reason: 'why' },
  reason: { reason: 'why' },
  typed: { confirm: TEXT },
  'typed with reason': { confirm: TEXT, reason: 'why' },
  'wrong text': { confirm: `${TEXT} `, reason: 'why' },
};

interface Case {
  readonly operation: OperationName;
  readonly place: keyof typeof PLACES;
  readonly stamp: string;
  readonly level: Level;
  readonly switch: keyof typeof SWITCHES;
  readonly consent: string;
  readonly isExplicit: boolean;
  readonly hasTerminal: boolean;
}

function* allCases(): Generator<Case> {
  for (const operation of Object.keys(OPERATIONS) as OperationName[])
    for (const place of Object.keys(PLACES) as (keyof typeof PLACES)[])
      for (const stampName of Object.keys(STAMPS))
        for (const level of LEVELS)
          for (const switchName of Object.keys(SWITCHES) as (keyof typeof SWITCHES)[])
            for (const consent of Object.keys(CONSENTS))
              for (const isExplicit of [true, false])
                for (const hasTerminal of [true, false])
                  yield {
                    operation,
                    place,
                    stamp: stampName,
                    level,
                    switch: switchName,
                    consent,
                    isExplicit,
                    hasTerminal,
                  };
}

function gateInput(one: Case): { request: GateRequest; facts: GateFacts } {
  const { isOn, lock, isOverridden, asks } = SWITCHES[one.switch];
  return {
    request: {
      operation: one.operation,
      consent: CONSENTS[one.consent] ?? {},
      isDryRun: false,
      isEnvironmentExplicit: one.isExplicit,
      isKillSwitchOverridden: isOverridden,
    },
    facts: {
      environment: 'e',
      database: 'clinic',
      ...PLACES[one.place],
      ...(STAMPS[one.stamp] as StampFacts),
      access: { login: 'alice', level: one.level, why: '' },
      killSwitch: { isOn, isConfirmationRequired: asks, lock },
      confirmationText: TEXT,
    },
  };
}

/** `allow`, the code of a refusal, or what a person at the terminal is asked. */
function outcome(one: Case): string {
  const { request, facts } = gateInput(one);
  const decision = decide(request, facts);
  if (decision.kind === 'allow') return 'allow';
  return decision.kind === 'confirm' && one.hasTerminal ? `ask ${decision.how}` : decision.code;
}

/** The rules of docs/safety.md in their order, without looking into the gate. */
function expected(one: Case): string {
  const { operation } = one;
  const found = STAMPS[one.stamp] as StampFacts;
  const { state, says } = found.stamp;
  const { security, isOwnServer } = PLACES[one.place];
  const { isOn, lock, isOverridden, asks } = SWITCHES[one.switch];
  const { yes, confirm, reason } = CONSENTS[one.consent] ?? {};
  const needed = READS.includes(operation) ? 0 : FOR_OPERATORS.includes(operation) ? 1 : 2;
  if (LEVELS.indexOf(one.level) < needed) return 'PERMISSION_DENIED';
  if (READS.includes(operation)) return 'allow';

  if (found.endpointOf !== null) return 'PROTECTED_ENVIRONMENT';
  const isUnknown = state === 'unstamped' && !found.isEmpty && !isOwnServer;
  const isProtected = security.protected || says?.protected === true || isUnknown;
  if (!WITHOUT_STAMP.includes(operation)) {
    if (isUnknown || (state === 'unstamped' && found.isTemplate)) return 'STAMP_REQUIRED';
    if (state === 'mismatch') return 'STAMP_MISMATCH';
    if ((state === 'copy' || state === 'upgraded') && (isProtected || DESTROYS.includes(operation)))
      return 'STAMP_REQUIRED';
  }
  if (FOR_OPEN_ONLY.includes(operation) && isProtected) return 'PROTECTED_ENVIRONMENT';

  const isBehind =
    !PAST_KILL_SWITCH.includes(operation) && (says?.killSwitch === true || (isOn && operation !== 'stamp-database'));
  if (!PAST_KILL_SWITCH.includes(operation) && lock !== null) return 'KILL_SWITCH';
  if (isBehind && !isOverridden) return 'KILL_SWITCH';

  const ask = (how: string): string => (one.hasTerminal ? `ask ${how}` : 'CONFIRMATION_REQUIRED');
  if (operation === 'engage-kill-switch') return reason ? 'allow' : ask('yes');
  const isFull = ALWAYS_WITH_CEREMONY.includes(operation);
  const lacksReason = !reason && (isFull || security.reasonRequired || (isProtected && !security.protected));
  if (isFull || isProtected || (isBehind && asks) || one.place === 'open, wants text') {
    if (!one.isExplicit) return 'PROTECTED_ENVIRONMENT';
    if (confirm === undefined) return ask('typed');
    if (confirm !== TEXT) return 'CONFIRMATION_MISMATCH';
    return lacksReason ? ask('yes') : 'allow';
  }
  const isOpen = one.place.startsWith('own server') || !DESTROYS.includes(operation);
  if (!isOpen && yes !== true && confirm !== TEXT) return ask('yes');
  return lacksReason ? ask('yes') : 'allow';
}

describe('the gate', () => {
  it('decides every operation in every situation as the manual says', () => {
    let count = 0;
    for (const one of allCases()) {
      count += 1;
      const decided = outcome(one);
      if (decided !== expected(one)) expect(decided, JSON.stringify(one)).to.equal(expected(one));
    }
    expect(count).to.be.greaterThan(1_000_000);
  });

  it('lets nobody but an admin change anything but what is meant for operators, and a viewer nothing', () => {
    for (const one of allCases()) {
      if (outcome(one) !== 'allow' || READS.includes(one.operation)) continue;
      if (one.level === 'viewer' || (one.level === 'operator' && !FOR_OPERATORS.includes(one.operation)))
        expect.fail(`${JSON.stringify(one)} was allowed`);
    }
  });

  it('asks nothing at all on an own server in development', () => {
    for (const operation of Object.keys(OPERATIONS) as OperationName[]) {
      if (operation === 'engage-kill-switch' || ALWAYS_WITH_CEREMONY.includes(operation)) continue;
      for (const known of ['trusted, open', 'unstamped', 'unstamped, empty', 'missing']) {
        const one: Case = {
          operation,
          place: 'own server',
          stamp: known,
          level: 'admin',
          switch: 'off',
          consent: 'nothing',
          isExplicit: false,
          hasTerminal: false,
        };
        expect(outcome(one), `${operation}, ${known}`).to.equal('allow');
      }
    }
  });

  it('lets no consent in the world past an engaged kill switch, but to release it', () => {
    for (const one of allCases()) {
      if (!one.switch.startsWith('locked') || READS.includes(one.operation)) continue;
      if (PAST_KILL_SWITCH.includes(one.operation)) continue;
      const decided = outcome(one);
      if (decided === 'allow' || decided.startsWith('ask')) expect.fail(`${JSON.stringify(one)}: ${decided}`);
    }
  });

  it('takes no dry run where there is none, and asks nothing where there is', () => {
    for (const operation of Object.keys(OPERATIONS) as OperationName[]) {
      const { request, facts } = gateInput({
        operation,
        place: 'production',
        stamp: 'mismatch, production',
        level: 'operator',
        switch: 'locked',
        consent: 'nothing',
        isExplicit: false,
        hasTerminal: false,
      });
      const decision = decide({ ...request, isDryRun: true }, facts);
      if (OPERATIONS[operation].canDryRun) expect(decision.kind).to.equal('allow');
      else expect(decision).to.include({ kind: 'deny', code: 'USAGE' });
    }
  });

  it('names all that it takes in its hint, with the text as a shell takes it', () => {
    const { request, facts } = gateInput({
      operation: 'reset-database',
      place: 'production',
      stamp: 'trusted, production',
      level: 'admin',
      switch: 'on',
      consent: 'yes',
      isExplicit: true,
      hasTerminal: false,
    });
    const decision = decide(request, { ...facts, confirmationText: 'EXECUTE RESET_DATABASE ON a"b' });
    expect(decision).to.include({
      code: 'KILL_SWITCH',
      hint: `If that is meant, the same again with KILL_SWITCH_OVERRIDE=true in the environment and --env e --confirm 'EXECUTE RESET_DATABASE ON a"b' --reason "…"`,
    });
  });
});

import { expect } from 'chai';
import { SECURITY_SETTINGS, type SecuritySettings } from '../../../app/config/settings.js';
import type { Consent } from '../../../app/core/safety/consent.js';
import { confirmationText, decide } from '../../../app/core/safety/decide.js';
import { OPERATIONS, type OperationName } from '../../../app/core/safety/operations.js';

const names = Object.keys(OPERATIONS) as OperationName[];
const open = SECURITY_SETTINGS.development as SecuritySettings;
const closed = SECURITY_SETTINGS.production as SecuritySettings;

/** The decision's kind, or the code of its refusal. */
function outcome(
  operation: OperationName,
  consent: Consent,
  facts: { security: SecuritySettings; isOwnServer: boolean; isExplicit?: boolean; isDryRun?: boolean },
) {
  const decision = decide(
    { operation, consent, isEnvironmentExplicit: facts.isExplicit ?? true, isDryRun: facts.isDryRun ?? false },
    { environment: 'e', database: 'clinic', security: facts.security, isOwnServer: facts.isOwnServer },
  );
  return decision.kind === 'allow' ? 'allow' : decision.code;
}

describe('the gate', () => {
  it('lets reading pass everywhere', () => {
    for (const operation of names) {
      if (OPERATIONS[operation].effect === 'read')
        expect(outcome(operation, {}, { security: closed, isOwnServer: false }), operation).to.equal('allow');
    }
  });

  it('takes nothing for a dry run that has none, whatever else is agreed to', () => {
    for (const operation of names) {
      const consent = { yes: true, confirm: confirmationText(operation, 'clinic'), reason: 'x' };
      const expected = OPERATIONS[operation].canDryRun ? 'allow' : 'USAGE';
      expect(outcome(operation, consent, { security: closed, isOwnServer: false, isDryRun: true }), operation).to.equal(
        expected,
      );
      expect(outcome(operation, {}, { security: open, isOwnServer: true, isDryRun: true }), operation).to.equal(
        expected,
      );
    }
  });

  it('asks nothing on an unprotected database of our own server', () => {
    for (const operation of names)
      expect(outcome(operation, {}, { security: open, isOwnServer: true }), operation).to.equal('allow');
  });

  it('wants --yes for what destroys an unprotected database elsewhere, a local address or not', () => {
    for (const operation of names) {
      const destroys = OPERATIONS[operation].effect === 'destroy';
      expect(outcome(operation, {}, { security: open, isOwnServer: false }), operation).to.equal(
        destroys ? 'CONFIRMATION_REQUIRED' : 'allow',
      );
      expect(outcome(operation, { yes: true }, { security: open, isOwnServer: false }), operation).to.equal('allow');
    }
  });

  it('wants the environment, the typed text and a reason for every change of something protected', () => {
    for (const operation of names.filter((name) => OPERATIONS[name].effect !== 'read')) {
      const confirm = confirmationText(operation, 'clinic');
      const facts = { security: closed, isOwnServer: true };
      expect(outcome(operation, { yes: true }, facts)).to.equal('CONFIRMATION_REQUIRED');
      expect(outcome(operation, { yes: true, confirm: `${confirm} ` }, facts)).to.equal('CONFIRMATION_MISMATCH');
      expect(outcome(operation, { confirm: confirmationText(operation, 'other') }, facts)).to.equal(
        'CONFIRMATION_MISMATCH',
      );
      expect(outcome(operation, { confirm }, facts)).to.equal('CONFIRMATION_REQUIRED');
      expect(outcome(operation, { confirm, reason: '  ' }, facts)).to.equal('CONFIRMATION_REQUIRED');
      expect(outcome(operation, { confirm, reason: 'why' }, { ...facts, isExplicit: false })).to.equal(
        'PROTECTED_ENVIRONMENT',
      );
      expect(outcome(operation, { confirm, reason: 'why' }, facts)).to.equal('allow');
    }
  });

  it('asks for the text that names operation and database', () => {
    expect(confirmationText('apply-db-triggers', 'clinic')).to.equal('EXECUTE APPLY_DB_TRIGGERS ON clinic');
  });
});

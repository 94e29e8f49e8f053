import { expect } from 'chai';
import { getConfig } from '../../app/config/db-config.js';
import type { ManageDbError } from '../../app/core/errors.js';
import { type ScratchWorkspace, scratchWorkspace } from '../support/scratch-workspace.js';

describe('the settings of the kill switch', () => {
  let workspace: ScratchWorkspace;
  beforeEach(() => {
    workspace = scratchWorkspace({
      '.env': 'PRODUCTION_DATABASE_URL=postgresql://a@h/p\nSTAGING_DATABASE_URL=postgresql://a@h/s\n',
    });
  });
  afterEach(() => workspace.remove());

  const configure = (killSwitch: object, environments: object = {}) =>
    workspace.write({ 'manage_db.config.json': JSON.stringify({ killSwitch, environments }) });
  const settings = async (env: string) => (await workspace.run(() => getConfig(env))).killSwitch;
  const isOn = async () =>
    Object.fromEntries(
      await Promise.all(['development', 'staging', 'production'].map(async (env) => [env, (await settings(env)).isOn])),
    );
  const problem = (killSwitch: object): Promise<ManageDbError> => {
    configure(killSwitch);
    return workspace
      .run(() => getConfig('development'))
      .then(
        () => expect.fail('it should have been refused'),
        (error) => error,
      );
  };

  it('switch it on for staging and production by default', async () => {
    expect(await isOn()).to.deep.equal({ development: false, staging: true, production: true });
  });

  it('let a list of environments decide, or each environment for itself, or switch it off', async () => {
    configure({ environments: ['prod', 'development'] });
    expect(await isOn()).to.deep.equal({ development: true, staging: false, production: true });
    configure({}, { staging: { security: { killSwitch: false } } });
    expect(await isOn()).to.deep.equal({ development: false, staging: false, production: true });
    configure({ enabled: false });
    expect(await isOn()).to.deep.equal({ development: false, staging: false, production: false });
  });

  it('make the typed text of a pattern', async () => {
    const parts = { operation: 'RESET_DATABASE', database: 'clinic', environment: 'production' };
    expect((await settings('production')).confirmationText(parts)).to.equal('EXECUTE RESET_DATABASE ON clinic');
    configure({ confirmationPattern: '{environment}: {operation} {database}' });
    expect((await settings('production')).confirmationText(parts)).to.equal('production: RESET_DATABASE clinic');
  });

  it('keep the windows for the environments that it is meant for', async () => {
    const window = { days: ['mon'], from: '08:00', to: '18:00', timeZone: 'Europe/Berlin' };
    configure({ lockedWindows: [window], openWindows: [window] });
    expect(await settings('production')).to.deep.include({ lockedWindows: [window], openWindows: [window] });
    expect(await settings('development')).to.deep.include({ lockedWindows: [], openWindows: [] });
  });

  for (const [what, killSwitch, words] of [
    ['a pattern that would do for everything', { confirmationPattern: 'yes' }, '{operation} and {database}'],
    ['a time zone that does not exist', { openWindows: [{ from: '08:00', to: '09:00', timeZone: 'Berlin' }] }, 'IANA'],
    ['a time of another form', { openWindows: [{ from: '8', to: '09:00', timeZone: 'UTC' }] }, 'HH:MM'],
    ['a key that it does not know', { enable: true }, 'enable'],
  ] as const) {
    it(`refuse ${what}`, async () => {
      const error = await problem(killSwitch);
      expect(error).to.include({ code: 'INVALID_CONFIGURATION' });
      expect(error.message).to.contain(words);
    });
  }
});

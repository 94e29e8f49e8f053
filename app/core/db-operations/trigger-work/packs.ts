import { getWorkspace } from '../../../config/workspace.js';
import { ManageDbError } from '../../errors.js';
import { auditPack, auditSchema } from '../../triggers/audit/audit-pack.js';
import type { AuditPackSettings } from '../../triggers/audit/audit-pack-settings.js';
import { basePack } from '../../triggers/base-pack.js';
import type { TriggerPack } from '../../triggers/pack.js';
import { securityPack } from '../../triggers/security-pack.js';
import { loadWorkspaceTriggers } from '../../triggers/workspace-pack.js';

/**
 * Every pack: those that come with manage_db, as the workspace has configured them, and its own.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` naming the file
 */
export async function readPacks(): Promise<TriggerPack[]> {
  const { triggersDir } = await getWorkspace();
  const workspace = await loadWorkspaceTriggers(triggersDir);
  const security = workspace.security === null ? [] : [securityPack(workspace.security)];
  const plain = [basePack(workspace.base), ...security, workspace.pack];
  if (workspace.audit === null) return plain;
  // the log is no table of the application
  const log = `${auditSchema(workspace.audit)}.*`;
  return [...plain.map((pack) => exceptTables(pack, log)), auditPack(workspace.audit)];
}

/**
 * What the workspace says about the audit; `null`: nothing, so nothing is audited.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` naming the file
 */
export async function readAuditSettings(): Promise<AuditPackSettings | null> {
  const { triggersDir } = await getWorkspace();
  return (await loadWorkspaceTriggers(triggersDir)).audit;
}

function exceptTables(pack: TriggerPack, pattern: string): TriggerPack {
  const declarations = pack.declarations.map((declaration) => {
    const { table } = declaration;
    if (typeof table === 'string' || !('kind' in table)) return declaration;
    return { ...declaration, table: { ...table, except: [...table.except, pattern] } };
  });
  return { ...pack, declarations };
}

/** Packs that do nothing until they are configured, and by what. */
const ON_REQUEST: Readonly<Record<string, string>> = { security: 'configureSecurityPack', audit: 'configureAuditPack' };

/** @throws ManageDbError `USAGE` with the names that there are */
export function choosePacks(packs: readonly TriggerPack[], name: string | undefined): readonly TriggerPack[] {
  if (name === undefined) return packs;
  const chosen = packs.filter((pack) => pack.name === name);
  if (chosen.length > 0) return chosen;
  const configure = Object.hasOwn(ON_REQUEST, name) ? ON_REQUEST[name] : undefined;
  if (configure !== undefined) {
    throw new ManageDbError(
      'USAGE',
      `The trigger pack "${name}" is used only where a trigger file says so, and none does.`,
      {
        hint: `Write triggers/${name}.trigger.ts: import { ${configure} } from 'manage_db'; export default ${configure}();`,
      },
    );
  }
  throw new ManageDbError('USAGE', `There is no trigger pack "${name}".`, {
    hint: `Packs: ${packs.map((pack) => pack.name).join(', ')}`,
  });
}

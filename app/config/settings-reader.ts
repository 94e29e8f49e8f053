import { ManageDbError, messageOf } from '../core/errors.js';
import * as z from '../core/schema.js';
import type { ConfigValue } from './config-report.js';
import type { PoolSettings } from './connection-settings.js';
import type { LayerReader } from './layer-reader.js';
import { redact } from './redaction.js';
import { type NumberSetting, SETTINGS, type SettingName } from './setting-names.js';

/** Values beside the connection: read, checked, and noted for `show-config`; what is wrong is collected. */
export class SettingsReader {
  readonly rows: ConfigValue[] = [];
  readonly sources = new Map<string, string>();

  constructor(
    private readonly reader: LayerReader,
    readonly problems: ManageDbError[],
  ) {}

  async text(setting: SettingName): Promise<string | null> {
    try {
      const found = await this.reader.read(setting);
      if (found !== null) this.note(setting, found.value, found.source);
      return found?.value ?? null;
    } catch (error) {
      this.problems.push(error instanceof ManageDbError ? error : unexpected(error));
      return null;
    }
  }

  async number(setting: NumberSetting): Promise<number> {
    const { min, max, default: fallback } = SETTINGS[setting].number;
    const text = await this.text(setting);
    if (text === null) {
      this.note(setting, String(fallback), 'default');
      return fallback;
    }
    const row = this.rows.at(-1);
    return (
      this.check(z.coerce.number().check(z.int(), z.minimum(min), z.maximum(max)), text, row?.source ?? setting) ??
      fallback
    );
  }

  /** `value` if the schema takes it; otherwise the problem is collected and `null` returned. */
  check<T>(schema: z.ZodMiniType<T>, value: unknown, source: string): T | null {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const what = parsed.error.issues.map((issue) => issue.message).join('; ');
    this.problems.push(
      new ManageDbError(
        'INVALID_CONFIGURATION',
        `${source}: ${redact(what)} (it is ${JSON.stringify(redact(String(value)))}).`,
        {
          hint: `Correct ${source}.`,
        },
      ),
    );
    return null;
  }

  private note(name: string, value: string, source: string): void {
    this.rows.push({ name, value: redact(value), source });
  }
}

/** The limits of sessions and their pool. */
export async function poolSettings(settings: SettingsReader): Promise<PoolSettings> {
  return {
    max: await settings.number('poolMax'),
    idleTimeoutMs: await settings.number('poolIdleTimeoutMs'),
    statementTimeoutMs: await settings.number('statementTimeoutMs'),
    lockTimeoutMs: await settings.number('lockTimeoutMs'),
    idleInTransactionTimeoutMs: await settings.number('idleInTransactionTimeoutMs'),
  };
}

/** A failure that nothing foresaw, as a problem like any other. */
export function unexpected(error: unknown): ManageDbError {
  return new ManageDbError('INTERNAL', redact(messageOf(error)), { cause: error });
}

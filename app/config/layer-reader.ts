import { ManageDbError } from '../core/errors.js';
import { fetchSecret } from './secrets.js';
import { SETTINGS, type SettingName } from './setting-names.js';
import type { RawValue, ValueLayer } from './value-layers.js';

/** A resolved value and where it came from. */
export interface SourcedValue {
  readonly value: string;
  readonly source: string;
  /** The variable or key that a person would change. */
  readonly name: string;
  /** Position of its layer: smaller is stronger. */
  readonly rank: number;
}

export interface LayerReaderOptions {
  readonly isProtected: boolean;
  /** The workspace. */
  readonly root: string;
  /** Otherwise a password that only a command knows counts as not there, and any other such value is a problem. */
  readonly mayRunCommands: boolean;
}

/** Looks values up through the layers that a setting may come from. */
export class LayerReader {
  constructor(
    private readonly layers: readonly ValueLayer[],
    private readonly options: LayerReaderOptions,
  ) {}

  /** The strongest value of `setting`, its secret fetched; `null` where none is set. */
  async read(setting: SettingName): Promise<SourcedValue | null> {
    for (const rank of this.layers.keys()) {
      const found = await this.readAt(setting, rank);
      if (found !== null) return found;
    }
    return null;
  }

  async readAt(setting: SettingName, rank: number): Promise<SourcedValue | null> {
    const raw = this.mayUse(setting, rank) ? (this.layers[rank]?.read(setting) ?? null) : null;
    // a question that no command is executed for asks where a database is, not how to get in
    if (raw !== null && setting === 'password' && this.isWithheldSecret(raw)) return null;
    return raw === null ? null : { value: await this.fetch(raw), source: raw.source, name: raw.name, rank };
  }

  /** Where the strongest value of `setting` that is written for this environment stands; a secret is not fetched. */
  locateScoped(setting: SettingName): RawValue | null {
    const scoped = this.layers.filter((layer) => layer.isScoped);
    return scoped.map((layer) => layer.read(setting)).find((raw) => raw !== null) ?? null;
  }

  /** Connection settings that are there but must not be used, because they are not written for this environment. */
  withheld(): readonly RawValue[] {
    return this.layers.flatMap((layer, rank) =>
      (['databaseUrl', 'service', 'host', 'database'] as const).flatMap((setting) => {
        const raw = this.mayUse(setting, rank) ? null : layer.read(setting);
        return raw === null ? [] : [raw];
      }),
    );
  }

  isScoped(rank: number): boolean {
    return this.layers[rank]?.isScoped === true;
  }

  get ranks(): readonly number[] {
    return [...this.layers.keys()];
  }

  private mayUse(setting: SettingName, rank: number): boolean {
    return !this.options.isProtected || !SETTINGS[setting].isConnection || this.layers[rank]?.isScoped === true;
  }

  private fetch(raw: RawValue): Promise<string> {
    if (typeof raw.value === 'string') return Promise.resolve(raw.value);
    if (!this.isWithheldSecret(raw)) return fetchSecret(raw.value, raw.name, this.options.root);
    throw new ManageDbError('SECRET_COMMAND_FAILED', `The command of ${raw.name} was not executed for this question.`);
  }

  private isWithheldSecret({ value }: RawValue): boolean {
    return typeof value !== 'string' && !('file' in value) && !this.options.mayRunCommands;
  }
}

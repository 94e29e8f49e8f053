import { readEncryptionSettings } from '../../../config/backup-settings.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { type BackupResult, backupTarget } from '../backup.js';
import { explained } from '../failure.js';
import type { Manifest } from '../manifest/manifest.js';
import { removeBackup } from './repository/backup-folder.js';
import type { SafetyLabel } from './safety-label.js';

export interface SafetyPart {
  /** Only these tables; all of the database by default. */
  readonly tables?: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * The backup of what is about to be replaced or dropped inside the live database, by a restore, an update of the schema, a
 * rollback or a reset: it leads back, and is removed where nothing was done after all. It is encrypted for whom the settings of the target's environment name.
 */
export class SafetyBackup {
  private made: BackupResult | null = null;

  private constructor(
    private readonly target: Target,
    private readonly label: SafetyLabel,
    private readonly controls: OperationControls,
    private readonly encryption: { readonly isSet: boolean; readonly isMissed: boolean },
  ) {}

  /**
   * Before anybody has to wait: settings may be read by commands.
   *
   * @param encryption of the backup that is restored
   * @throws ManageDbError what reading the settings throws
   */
  static async prepare(
    target: Target,
    { label, encryption }: { readonly label: SafetyLabel } & Pick<Manifest, 'encryption'>,
    controls: OperationControls,
  ): Promise<SafetyBackup> {
    const { recipients, passphrase } = await readEncryptionSettings(target.environment);
    const isSet = recipients !== null || passphrase !== null;
    return new SafetyBackup(target, label, controls, { isSet, isMissed: !isSet && encryption !== null });
  }

  /** `null`: nothing was there to back up. */
  get id(): string | null {
    return this.made?.id ?? null;
  }

  get warnings(): readonly string[] {
    if (this.id === null || !this.encryption.isMissed) return [];
    return [
      `The safety backup ${this.id} is not encrypted, as the restored one is: neither BACKUP_RECIPIENTS nor BACKUP_PASSPHRASE is set for ${this.target.environment}.`,
    ];
  }

  /** In the place of that of a first attempt, since which somebody may have written. */
  async make({ tables, signal = this.controls.signal }: SafetyPart): Promise<void> {
    if (this.made !== null) await removeBackup(this.made.path);
    this.made = null;
    this.made = await backupTarget(this.target, {
      ...this.controls,
      signal,
      label: this.label,
      ...(tables === undefined ? {} : { tables }),
      ...(this.encryption.isSet ? { encrypt: true } : {}),
    });
  }

  /** Nothing was replaced, so there is nothing to go back to. Returns `error`, which also names what could not be removed. */
  async discard(error: unknown): Promise<unknown> {
    if (this.made === null) return error;
    try {
      await removeBackup(this.made.path);
      return error;
    } catch {
      return explained(error, `The safety backup ${this.id} is left.`);
    }
  }
}

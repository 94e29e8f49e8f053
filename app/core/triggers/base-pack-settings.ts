/** What a workspace may set about the base pack. */
export interface BasePackSettings {
  /** The schema of the pack's functions; `public` by default. */
  readonly functionSchema?: string;
  /**
   * What `created_by` and `updated_by` take where nobody is known, instead of `system`, by table. Needed for columns that
   * cannot hold that word; without it they are left as they are.
   */
  readonly systemUser?: Readonly<Record<string, string>>;
  /** Tables to leave alone: `'legacy.*'`. */
  readonly except?: readonly string[];
}

export interface BasePackConfiguration {
  readonly kind: 'manage_db.base-pack';
  readonly settings: BasePackSettings;
}

/**
 * Settings of the base pack, exported by one `*.trigger.ts` file of the workspace.
 *
 * @example
 * export default configureBasePack({
 *   systemUser: { 'clinic.data_sources': '00000000-0000-0000-0000-000000000000' },
 *   except: ['legacy.*'],
 * });
 */
export function configureBasePack(settings: BasePackSettings): BasePackConfiguration {
  return { kind: 'manage_db.base-pack', settings };
}

export function isBasePackConfiguration(value: unknown): value is BasePackConfiguration {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'manage_db.base-pack';
}

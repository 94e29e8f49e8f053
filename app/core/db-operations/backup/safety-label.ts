/** What the backups are labelled that an operation makes of what it replaces or drops: `latest` means none of them. */
const SAFETY_LABELS = [
  'before a restore',
  'before a rollback',
  'before a schema update',
  'before drop-all-tables',
  'before reset-database',
] as const;

export type SafetyLabel = (typeof SAFETY_LABELS)[number];

export function isSafetyLabel(label: string | null): label is SafetyLabel {
  return SAFETY_LABELS.some((one) => one === label);
}

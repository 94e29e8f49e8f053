/** 007 and 7 are the same version. */
export function versionKey(version: string): string {
  return version.replace(/^0+(?=\d)/, '');
}

/** By number, however many digits: a hand-numbered 9 comes before 10. */
export function compareVersions(one: string, other: string): number {
  const difference = BigInt(one) - BigInt(other);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** By {@link compareVersions}; `null`: there is none. */
export function newestVersion(versions: readonly string[]): string | null {
  return [...versions].sort(compareVersions).at(-1) ?? null;
}

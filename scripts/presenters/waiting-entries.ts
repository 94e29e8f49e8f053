/** Entries of the operation log that are in the workspace and not in the database. */
export function waitingWarnings({ pending, refused }: { pending: number; refused: number }): readonly string[] {
  return [
    ...(pending === 0 ? [] : [`${pending} entries wait in the workspace; the next logged operation adds them.`]),
    ...(refused === 0
      ? []
      : [`${refused} entries were refused by the database; they are kept in .manage_db/operation-log/refused.`]),
  ];
}

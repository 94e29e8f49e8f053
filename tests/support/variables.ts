const MINE =
  /^(MANAGE_DB_(ENV|WORKSPACE|LEGACY_VARIABLES|EXPORTED_FOR)|APP_ENV|NODE_ENV|FLASK_ENV|CONFIRMATION_TEXT|PG[A-Z_]*|(.*_)?DATABASE_.*)$/;

/** Runs `fn` with exactly these of manage_db's variables in `process.env`, and puts back what was there. */
export async function withVariables<T>(
  variables: Readonly<Record<string, string>>,
  fn: () => T | Promise<T>,
): Promise<T> {
  const before = Object.entries(process.env).filter(([name]) => MINE.test(name) || Object.hasOwn(variables, name));
  clear();
  Object.assign(process.env, variables);
  try {
    return await fn();
  } finally {
    clear();
    Object.assign(process.env, Object.fromEntries(before));
    for (const name of Object.keys(variables))
      if (!before.some(([known]) => known === name) && !MINE.test(name)) delete process.env[name];
  }
}

function clear(): void {
  for (const name of Object.keys(process.env)) if (MINE.test(name)) delete process.env[name];
}

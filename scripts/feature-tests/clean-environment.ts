import { PASSED_ON } from '../../app/services/client-tools/tool-environment.js';

/** What `manage_db` needs beyond that, and nothing that says which database is meant. */
const OWN = ['SHELL', 'NODE_V8_COVERAGE', 'NODE_EXTRA_CA_CERTS', 'PG_BIN_DIR', 'PGPASSFILE'];

/** The variables of this process without every setting of manage_db, PostgreSQL and the application. */
export function cleanEnvironment(): Record<string, string> {
  const locale = Object.keys(process.env).filter((name) => name.startsWith('LC_'));
  return Object.fromEntries(
    [...PASSED_ON, ...OWN, ...locale].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/**
 * Runs `work` with {@link cleanEnvironment} as the variables of this process, and puts back what was there: a variable of the
 * shell outranks the files of a scratch workspace, and would lead out of it.
 */
export async function withCleanEnvironment<T>(work: () => Promise<T>): Promise<T> {
  const before = { ...process.env };
  setAll(cleanEnvironment());
  try {
    return await work();
  } finally {
    setAll(before);
  }
}

function setAll(variables: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(process.env)) if (!Object.hasOwn(variables, name)) delete process.env[name];
  Object.assign(process.env, variables);
}

import { startTestServer, stopTestServer } from './test-server.js';

/** What a developer's shell says must not reach the tests. */
for (const name of Object.keys(process.env)) {
  if (
    /^PG|DATABASE_|^(MANAGE_DB_ENV|MANAGE_DB_WORKSPACE|APP_ENV|NODE_ENV|CONFIRMATION_TEXT|FORCE_COLOR|NO_COLOR)$/.test(
      name,
    )
  ) {
    delete process.env[name];
  }
}

export const mochaGlobalSetup = startTestServer;
export const mochaGlobalTeardown = stopTestServer;

// Everything here is optional: with nothing set, development and testing run on an embedded server of their own.
// Secrets do not belong here. Put them into .env.<environment> (never committed), a mounted file (…_FILE) or the
// command of a secret manager (…_COMMAND). TypeScript works as well: name the file manage_db.config.ts.

/** @type {import('manage_db').ManageDbConfig} */
export default {
  // the first part of the embedded databases' names
  name: '{{name}}',

  environments: {
    // staging and production need a database of their own: PRODUCTION_DATABASE_URL, or for instance
    // production: { databaseUrl: { command: 'op read op://ops/clinic/database-url' }, sslMode: 'verify-full' },
    // a custom environment takes its settings, but never its database, from the one it extends
    // preview: { extends: 'staging' },
  },
};

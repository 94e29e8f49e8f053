/**
 * zod for what comes from outside: its small form, with English messages. The usual form brings every language and every
 * format along, and 25 ms at each start of the CLI.
 */
import { config } from 'zod/mini';
import en from 'zod/v4/locales/en.js';

config(en());

export * from 'zod/mini';

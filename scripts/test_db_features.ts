/** The feature tests alone: `node dist/scripts/test_db_features.js` is `manage_db test-db-features`. */
import { main } from './cli.js';

await main(['test-db-features', ...process.argv.slice(2)]);

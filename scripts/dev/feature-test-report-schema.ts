// docs/feature-test-report.schema.json, made from what reports are.
import { toJSONSchema } from '../../app/core/schema.js';
import { reportSchema } from '../feature-tests/report.js';

/** The JSON schema (draft 2020-12) of what `test-db-features --json FILE` writes. */
export function featureTestReportJsonSchema(): object {
  return { title: 'The report of the feature tests of manage_db', ...toJSONSchema(reportSchema) };
}

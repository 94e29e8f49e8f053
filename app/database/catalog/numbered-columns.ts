import { BASE_TYPE } from './auditable-tables.js';

/** Needs `a`, a row of pg_attribute: a column of whole numbers, or of numeric, behind its domains. A sequence can number it. */
export const IS_NUMBERED = `${BASE_TYPE} in ('pg_catalog.int2'::pg_catalog.regtype, 'pg_catalog.int4'::pg_catalog.regtype,
    'pg_catalog.int8'::pg_catalog.regtype, 'pg_catalog.numeric'::pg_catalog.regtype)`;

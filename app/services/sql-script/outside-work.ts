import type { Node } from 'libpg-query';
import { type NodeReaders, readNode, textsOf } from './parse-tree.js';
import type { WrittenName } from './statement-effects.js';
import { cannotRunInTransaction } from './transaction-rules.js';

/**
 * What a statement does that PostgreSQL refuses in a transaction, as far as the catalog can be asked afterwards whether it
 * was done.
 */
export type OutsideWork =
  /** CREATE INDEX CONCURRENTLY; without a name the server finds one. */
  | {
      readonly kind: 'create index';
      readonly index: string | null;
      readonly table: WrittenName;
      readonly ifNotExists: boolean;
    }
  | { readonly kind: 'drop indexes'; readonly indexes: readonly WrittenName[] }
  /** REINDEX INDEX CONCURRENTLY or REINDEX TABLE CONCURRENTLY. */
  | { readonly kind: 'reindex'; readonly scope: 'index' | 'table'; readonly relation: WrittenName }
  | { readonly kind: 'detach partition'; readonly table: WrittenName; readonly partition: WrittenName }
  | {
      readonly kind: 'create' | 'drop';
      readonly what: 'database' | 'tablespace' | 'subscription';
      readonly name: string;
    }
  /** Doing it twice changes nothing: VACUUM, REINDEX of a schema, ALTER SYSTEM … */
  | { readonly kind: 'repeatable' }
  /** Nobody can tell from the catalog. */
  | { readonly kind: 'unknown' };

/**
 * For whatever PostgreSQL may refuse in a transaction: some of it depends on the database, as REINDEX of a partitioned table
 * does. `null` for all else.
 */
export function outsideWork(node: Node): OutsideWork | null {
  return readNode(node, WORK) ?? (cannotRunInTransaction(node) ? { kind: 'unknown' } : null);
}

const REPEATABLE = { kind: 'repeatable' } as const;
const UNKNOWN = { kind: 'unknown' } as const;

const WORK: NodeReaders<OutsideWork> = {
  IndexStmt: ({ idxname, relation, if_not_exists }) => ({
    kind: 'create index',
    index: idxname ?? null,
    table: nameOf(relation),
    ifNotExists: if_not_exists === true,
  }),
  DropStmt: ({ removeType, objects = [] }) =>
    removeType === 'OBJECT_INDEX'
      ? {
          kind: 'drop indexes',
          indexes: objects.flatMap((object) => ('List' in object ? [nameOfParts(textsOf(object.List.items))] : [])),
        }
      : UNKNOWN,
  ReindexStmt: ({ kind, relation }) => {
    if (kind === 'REINDEX_OBJECT_INDEX') return { kind: 'reindex', scope: 'index', relation: nameOf(relation) };
    if (kind === 'REINDEX_OBJECT_TABLE') return { kind: 'reindex', scope: 'table', relation: nameOf(relation) };
    return REPEATABLE;
  },
  AlterTableStmt: ({ relation, cmds = [] }) => {
    for (const command of cmds) {
      const def = 'AlterTableCmd' in command ? command.AlterTableCmd.def : undefined;
      if (def !== undefined && 'PartitionCmd' in def) {
        return { kind: 'detach partition', table: nameOf(relation), partition: nameOf(def.PartitionCmd.name) };
      }
    }
    return UNKNOWN;
  },
  CreatedbStmt: ({ dbname = '' }) => ({ kind: 'create', what: 'database', name: dbname }),
  DropdbStmt: ({ dbname = '' }) => ({ kind: 'drop', what: 'database', name: dbname }),
  CreateTableSpaceStmt: ({ tablespacename = '' }) => ({ kind: 'create', what: 'tablespace', name: tablespacename }),
  DropTableSpaceStmt: ({ tablespacename = '' }) => ({ kind: 'drop', what: 'tablespace', name: tablespacename }),
  CreateSubscriptionStmt: ({ subname = '' }) => ({ kind: 'create', what: 'subscription', name: subname }),
  DropSubscriptionStmt: ({ subname = '' }) => ({ kind: 'drop', what: 'subscription', name: subname }),
  VacuumStmt: () => REPEATABLE,
  ClusterStmt: () => REPEATABLE,
  AlterSystemStmt: () => REPEATABLE,
  AlterDatabaseStmt: () => REPEATABLE,
  AlterSubscriptionStmt: () => REPEATABLE,
  DiscardStmt: () => REPEATABLE,
};

function nameOf(relation: { readonly schemaname?: string; readonly relname?: string } | undefined): WrittenName {
  return { schema: relation?.schemaname ?? null, name: relation?.relname ?? '' };
}

function nameOfParts(parts: readonly string[]): WrittenName {
  return { schema: parts.at(-2) ?? null, name: parts.at(-1) ?? '' };
}

import type { FactBase } from '@supabase/pg-delta';
import { messageOf } from '../../errors.js';

export interface DdlStatement {
  readonly sql: string;
  /** Whether rows can be lost by it. */
  readonly isDestructive: boolean;
  /** Whether it rewrites a table. */
  readonly mayRewrite: boolean;
  /** `false`: it cannot run in a transaction, or nothing can use it in the same one. */
  readonly isTransactional: boolean;
}

/** What makes the schema of TO like that of FROM. */
export interface DdlScript {
  /** To be executed in this order, under `settings`. */
  readonly statements: readonly DdlStatement[];
  readonly settings: readonly { readonly name: string; readonly value: string }[];
  /** Why there are none, although there are differences. */
  readonly problem: string | null;
}

/** Plans what would have to be done; what cannot be planned is said, and changes nothing about the differences. */
export async function planDdl(from: FactBase, to: FactBase): Promise<DdlScript> {
  const { buildFactBase, plan } = await import('@supabase/pg-delta');
  // where it sees members of extensions, the planner marks them by itself and forgets what else takes no part
  const marked = (base: FactBase): FactBase => {
    const edges = base.edges.filter(({ kind }) => kind !== 'memberOfExtension');
    return buildFactBase(base.facts(), [...edges], base.source, base.referenceOnly);
  };
  const assumedRoles = [...from.facts(), ...to.facts()].flatMap(({ id }) => (id.kind === 'role' ? [id.name] : []));
  try {
    const { actions, preamble } = plan(marked(to), marked(from), { assumedRoles });
    return {
      statements: actions.map(({ sql, dataLoss, rewriteRisk, transactionality }) => ({
        sql,
        isDestructive: dataLoss === 'destructive',
        mayRewrite: rewriteRisk,
        isTransactional: transactionality === 'transactional',
      })),
      settings: actions.length === 0 ? [] : preamble,
      problem: null,
    };
  } catch (error) {
    return { statements: [], settings: [], problem: messageOf(error) };
  }
}

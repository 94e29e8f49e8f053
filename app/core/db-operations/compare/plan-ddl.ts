import type { Action, Delta, FactBase } from '@supabase/pg-delta';
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

/** What leads from one schema to another, as pg-delta has it. */
export interface PlannedActions {
  /** In the order in which they have to be executed, under `settings`. */
  readonly actions: readonly Action[];
  readonly deltas: readonly Delta[];
  readonly settings: DdlScript['settings'];
  /** Why there are none, although there may be differences. */
  readonly problem: string | null;
}

/** Plans what would have to be done; what cannot be planned is said, and changes nothing about the differences. */
export async function planDdl(from: FactBase, to: FactBase): Promise<DdlScript> {
  const { actions, settings, problem } = await planActions(from, to);
  return {
    statements: actions.map(({ sql, dataLoss, rewriteRisk, transactionality }) => ({
      sql,
      isDestructive: dataLoss === 'destructive',
      mayRewrite: rewriteRisk,
      isTransactional: transactionality === 'transactional',
    })),
    settings,
    problem,
  };
}

/** {@link planDdl} with what each statement is about. */
export async function planActions(from: FactBase, to: FactBase): Promise<PlannedActions> {
  const { buildFactBase, plan } = await import('@supabase/pg-delta');
  // where it sees members of extensions, the planner marks them by itself and forgets what else takes no part
  const marked = (base: FactBase): FactBase => {
    const edges = base.edges.filter(({ kind }) => kind !== 'memberOfExtension');
    return buildFactBase(base.facts(), [...edges], base.source, base.referenceOnly);
  };
  const assumedRoles = [...from.facts(), ...to.facts()].flatMap(({ id }) => (id.kind === 'role' ? [id.name] : []));
  try {
    const { actions, deltas, preamble } = plan(marked(to), marked(from), { assumedRoles });
    return {
      actions: actions.map(onPartitions),
      deltas,
      settings: actions.length === 0 ? [] : preamble,
      problem: null,
    };
  } catch (error) {
    return { actions: [], deltas: [], settings: [], problem: messageOf(error) };
  }
}

/** The server writes `ON ONLY` for the index of a partitioned table, which would be left without those of its partitions. */
function onPartitions(action: Action): Action {
  if (!action.produces.some(({ kind }) => kind === 'index')) return action;
  return { ...action, sql: action.sql.replace(ON_ONLY, '$1 ') };
}

const ON_ONLY = /^(CREATE (?:UNIQUE )?INDEX (?:"(?:[^"]|"")*"|[^\s"]+) ON) ONLY /;

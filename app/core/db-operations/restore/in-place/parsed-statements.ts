import type { AlterTableStmt, Constraint, RangeVar, RawStmt } from 'libpg-query';

export interface Named {
  readonly schema: string;
  readonly name: string;
}

export interface SequencePosition {
  /** As SQL writes it, with its schema. */
  readonly sequence: string;
  readonly value: string;
  readonly isCalled: boolean;
}

export function namedBy(relation: RangeVar | undefined): Named {
  return { schema: relation?.schemaname ?? '', name: relation?.relname ?? '' };
}

/** The foreign key that it adds. */
export function constraintOf({ cmds = [] }: AlterTableStmt): Constraint | null {
  for (const command of cmds) {
    const def = 'AlterTableCmd' in command ? command.AlterTableCmd.def : undefined;
    if (def !== undefined && 'Constraint' in def && def.Constraint.contype === 'CONSTR_FOREIGN') return def.Constraint;
  }
  return null;
}

/** What follows `schema.name`, with which `text` begins. */
export function afterName(text: string): string {
  const part = /^(?:"(?:[^"]|"")*"|[^".\s(]+)/;
  const schema = part.exec(text)?.[0] ?? '';
  const name = part.exec(text.slice(schema.length + 1))?.[0] ?? '';
  return text.slice(schema.length + 1 + name.length);
}

/** `select pg_catalog.setval('public.patients_id_seq', 1000, true)` */
export function setvalArguments({ stmt }: RawStmt): SequencePosition | null {
  if (stmt === undefined || !('SelectStmt' in stmt)) return null;
  const [target] = stmt.SelectStmt.targetList ?? [];
  const value = target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
  if (value === undefined || !('FuncCall' in value)) return null;
  const { funcname = [], args = [] } = value.FuncCall;
  const last = funcname.at(-1);
  if (last === undefined || !('String' in last) || last.String.sval !== 'setval') return null;
  const [sequence, position, isCalled] = args.map(constant);
  if (sequence === undefined || position === undefined) return null;
  return { sequence, value: position, isCalled: isCalled === 'true' };
}

/** A constant as text; a number with a sign is an expression to the parser. */
function constant(node: unknown): string | undefined {
  const found = node as {
    readonly A_Const?: {
      readonly sval?: { readonly sval?: string };
      readonly ival?: { readonly ival?: number };
      readonly fval?: { readonly fval?: string };
      readonly boolval?: { readonly boolval?: boolean };
    };
    readonly A_Expr?: { readonly rexpr?: unknown };
  };
  if (found.A_Expr !== undefined) return `-${constant(found.A_Expr.rexpr)}`;
  const { sval, ival, fval, boolval } = found.A_Const ?? {};
  if (sval !== undefined) return sval.sval ?? '';
  if (ival !== undefined) return String(ival.ival ?? 0);
  if (fval !== undefined) return fval.fval;
  return boolval === undefined ? undefined : String(boolval.boolval ?? false);
}

import type { ColumnShape } from '../../../../database/catalog/column-shapes.js';
import type { MaskableColumn, MaskableTable } from '../../../../database/catalog/maskable-tables.js';
import type { MaskingForeignKey } from '../../../../database/catalog/masking-foreign-keys.js';
import type { UniqueKey } from '../../../../database/catalog/masking-keys.js';
import { type Family, familyOf, isTextual, valueType } from './column-family.js';
import { isAboutPeople, isAboutSecrets, type Meaning, meaningOf } from './name-words.js';
import type { Rule } from './rules.js';

/** What could become of a column, and why; `null`: somebody has to decide. */
export interface Proposal {
  readonly rule: Rule | null;
  readonly why: string;
}

/** What is known about the columns, none of it a value. */
export interface Known {
  readonly tables: readonly MaskableTable[];
  readonly foreignKeys: readonly MaskingForeignKey[];
  readonly uniqueKeys: readonly UniqueKey[];
  readonly shapes: readonly ColumnShape[];
}

/** Families of columns that can say whose row it is. */
const KEYS: readonly Family[] = ['integer', 'uuid', 'text', 'char', 'citext'];

/** Proposes rules from names, types and statistics. What is unsure stays undecided: a proposal is read by people. */
export class Proposer {
  constructor(private readonly known: Known) {}

  proposeFor(table: MaskableTable, column: MaskableColumn): Proposal {
    return this.follow(table, column, new Set());
  }

  /** A column that refers to another one has its rule, or the join is lost. */
  private follow(table: MaskableTable, column: MaskableColumn, seen: Set<string>): Proposal {
    const at = JSON.stringify([table.oid, column.column]);
    if (column.isPartitionKey) return keep('it decides in which partition a row is');
    const referenced = this.referencedBy(table, column);
    if (referenced === null || seen.has(at)) return this.byItself(table, column);
    seen.add(at);
    const { rule } = this.follow(referenced.table, referenced.column, seen);
    const target = `${referenced.table.schema}.${referenced.table.name}.${referenced.column.column}`;
    // a key that dates are moved by is another one over there
    return rule?.kind === 'date-shift'
      ? undecided(column, `refers to ${target}`)
      : { rule, why: `refers to ${target}` };
  }

  private byItself(table: MaskableTable, column: MaskableColumn): Proposal {
    const meaning = meaningOf(column.column);
    const family = familyOf(column);
    if (isTextual(family)) return this.ofText(table, column, meaning);
    const isKey = this.known.uniqueKeys.some(
      ({ tableOid, columns }) => tableOid === table.oid && columns.includes(column.column),
    );
    if (valueType(column).name === 'bool') return keep('true or false');
    if (family === 'uuid' && isKey && isAboutSecrets(table.name)) {
      return { rule: { kind: 'id-hash' }, why: 'who knows it may be let in' };
    }
    if ((family === 'integer' || family === 'uuid') && isKey && !isPersonal(meaning))
      return keep('a key that says nothing by itself');
    if (column.name === 'tsvector')
      return column.isNullable ? drop('words of a text') : undecided(column, 'words of a text');
    if (meaning === 'sensitive') return undecided(column, 'says something about a person');
    if (family === 'date' || family === 'date range') return this.ofDate(table, column, meaning);
    if (column.name === 'inet' || column.name === 'cidr' || meaning === 'network') {
      return column.isNullable ? drop('an address in a network') : undecided(column, 'an address in a network');
    }
    if (family === 'json' && isAboutPeople(table.name))
      return { rule: { kind: 'free-text' }, why: 'a document about a person: its keys stay' };
    if (meaning === 'number of a person' && (family === 'integer' || family === 'uuid'))
      return { rule: { kind: 'id-hash' }, why: 'a number of a person, by its name' };
    if (meaning === 'technical') return keep('by its name');
    if (column.isEnum && !isAboutPeople(table.name)) return keep('one of a few labels');
    return undecided(column, column.declared);
  }

  private ofText(table: MaskableTable, column: MaskableColumn, meaning: Meaning | null): Proposal {
    const shape = this.known.shapes.find((one) => one.tableOid === table.oid && one.column === column.column);
    const isUnique = this.isUnique(table, column);
    const masked = (kind: 'email' | 'phone' | 'name' | 'free-text' | 'id-hash', why: string): Proposal =>
      isUnique && kind !== 'email' && kind !== 'id-hash'
        ? { rule: { kind: 'id-hash' }, why: `${why}; unique` }
        : { rule: { kind }, why };
    if (meaning === 'email' || shape?.hasAddresses === true) {
      const isMostly = shape === undefined || shape.averageWidth <= 60;
      return isMostly
        ? masked('email', meaning === 'email' ? 'an address, by its name' : 'holds addresses')
        : masked('free-text', 'a text with addresses in it');
    }
    switch (meaning) {
      case 'secret':
        if (isUnique) return masked('id-hash', 'a secret, by its name');
        return column.isNullable
          ? drop('a secret, by its name')
          : { rule: { kind: 'fixed', value: '!' }, why: 'a secret, by its name' };
      case 'phone':
      case 'name':
        return masked(meaning, `a ${meaning === 'phone' ? 'phone number' : 'name'}, by its name`);
      case 'birth':
      case 'address':
      case 'free text':
        return masked(
          'free-text',
          meaning === 'free text' ? 'written by people, by its name' : `${meaning}, by its name`,
        );
      case 'number of a person':
      case 'user':
        return masked('id-hash', meaning === 'user' ? 'who did it, by its name' : 'a number of a person, by its name');
      case 'network':
        return column.isNullable
          ? drop('of a network or a device, by its name')
          : masked('free-text', 'of a network or a device, by its name');
      case 'technical':
        return keep('by its name');
      default:
        break;
    }
    if (/name|nom$|naam$/i.test(column.column) && isAboutPeople(table.name))
      return masked('name', 'a name in a table of people');
    if (shape?.hasPhoneNumbers === true) return undecided(column, 'holds what could be phone numbers');
    if (shape?.distinct !== null && shape !== undefined)
      return undecided(column, `${column.declared}, ${Math.round(shape.distinct)} different values`);
    return undecided(column, column.declared);
  }

  private ofDate(table: MaskableTable, column: MaskableColumn, meaning: Meaning | null): Proposal {
    if (meaning === 'technical') return keep('by its name');
    const key = this.personOf(table);
    if (key === null) return undecided(column, column.declared);
    const shift: Proposal = {
      rule: { kind: 'date-shift', by: key },
      why: meaning === 'birth' ? 'a birthday, by its name' : `moved with all dates of the same ${key}`,
    };
    const isOpen = meaning === 'birth' || isAboutPeople(table.name);
    return isOpen && !this.isUnique(table, column)
      ? shift
      : undecided(column, `${column.declared}; perhaps { date-shift: ${key} }`);
  }

  /** The column that says whose row it is: what must refer to people, the key of a table of people, or what may refer to them. */
  private personOf(table: MaskableTable): string | null {
    const { tables, foreignKeys, uniqueKeys } = this.known;
    const referring = foreignKeys.flatMap(({ tableOid, referencedOid, pairs }) => {
      const target = tables.find(({ oid }) => oid === referencedOid);
      const isMeant =
        tableOid === table.oid && pairs.length === 1 && target !== undefined && isAboutPeople(target.name);
      return isMeant ? table.columns.filter(({ column }) => column === pairs[0]?.column) : [];
    });
    const own = uniqueKeys
      .filter(({ tableOid, columns, otherColumns }) => {
        return tableOid === table.oid && columns.length === 1 && otherColumns.length === 0;
      })
      .flatMap(({ columns }) => table.columns.filter(({ column }) => columns.includes(column)))
      // an address or a number of a person may change, and says less about who it is
      .sort((one, other) => Number(isTextual(familyOf(one))) - Number(isTextual(familyOf(other))));
    const candidates = [
      ...referring.filter(({ isNullable }) => !isNullable),
      ...(isAboutPeople(table.name) ? own.filter(({ isNullable }) => !isNullable) : []),
      ...referring,
    ];
    return candidates.find((column) => !column.isArray && KEYS.includes(familyOf(column)))?.column ?? null;
  }

  private referencedBy(
    table: MaskableTable,
    column: MaskableColumn,
  ): { table: MaskableTable; column: MaskableColumn } | null {
    for (const { tableOid, referencedOid, pairs } of this.known.foreignKeys) {
      const pair = tableOid === table.oid ? pairs.find((one) => one.column === column.column) : undefined;
      const target = pair === undefined ? undefined : this.known.tables.find(({ oid }) => oid === referencedOid);
      const referenced = target?.columns.find((one) => one.column === pair?.referenced);
      if (target !== undefined && referenced !== undefined) return { table: target, column: referenced };
    }
    return null;
  }

  private isUnique(table: MaskableTable, { column }: MaskableColumn): boolean {
    return this.known.uniqueKeys.some(
      ({ tableOid, columns, otherColumns }) =>
        tableOid === table.oid && (columns.includes(column) || otherColumns.includes(column)),
    );
  }
}

function isPersonal(meaning: Meaning | null): boolean {
  return meaning === 'number of a person' || meaning === 'phone';
}

function keep(why: string): Proposal {
  return { rule: { kind: 'keep' }, why };
}

function drop(why: string): Proposal {
  return { rule: { kind: 'null' }, why };
}

function undecided({ isNullable }: MaskableColumn, why: string): Proposal {
  return { rule: null, why: `decide (${why}${isNullable ? '' : ', not null'})` };
}

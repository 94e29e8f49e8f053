import type { NamedRelation, ParsedStatement } from '../../../../services/sql-script.js';

const CREATING = /^create (table|table as|materialized view|foreign table|view)$|^select into$/;

/** What the run has created so far: nobody else uses it, and what is done to it keeps nobody waiting. */
export class CreatedRelations {
  private readonly created: NamedRelation[] = [];

  has({ schema, name }: NamedRelation): boolean {
    // a bare name and one with its schema are most likely the same
    return this.created.some(
      (one) => one.name === name && (one.schema === null || schema === null || one.schema === schema),
    );
  }

  /** IF NOT EXISTS and OR REPLACE say that it may be an old one. */
  add({ kind, objects, text }: ParsedStatement): void {
    if (!CREATING.test(kind) || /^create\s+(?:or\s+replace\b|[\w\s]*\bif\s+not\s+exists\b)/i.test(text)) return;
    for (const object of objects) {
      if (object.type === 'named') this.created.push({ schema: object.schema, name: object.name });
    }
  }
}

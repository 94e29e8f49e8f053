import type { Definitions } from '../../compare/read-definitions.js';

export interface Wanted {
  readonly definitions: Definitions;
  /** Of the source's server. */
  readonly major: number;
  /** What options that may be secret are compared with. */
  readonly salt: string;
  /** Whether owners, grants and default privileges are made as in the source, too. */
  readonly withGrants: boolean;
  /** What its functions rely on. */
  readonly searchPath: string;
  /** What makes it where nothing is, and as it may be shown; `null`: something is there. */
  readonly script: readonly { readonly sql: string; readonly shown: string }[] | null;
}

/** What the schema is to become: the definitions of the source at one moment. They are not printed. */
export class WantedSchema implements Wanted {
  readonly definitions;
  readonly major;
  readonly salt;
  readonly withGrants;
  readonly searchPath;
  readonly script;

  constructor(wanted: Wanted) {
    this.definitions = wanted.definitions;
    this.major = wanted.major;
    this.salt = wanted.salt;
    this.withGrants = wanted.withGrants;
    this.searchPath = wanted.searchPath;
    this.script = wanted.script;
  }

  toJSON(): undefined {
    return undefined;
  }
}

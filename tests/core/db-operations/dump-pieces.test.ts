import { expect } from 'chai';
import { type DumpPiece, dumpPieces } from '../../../app/core/db-operations/backup/dump/dump-pieces.js';

const DUMP = Buffer.from(
  [
    '-- Name: a; Type: TABLE; Schema: s; Owner: o',
    'create table s.a (id int);',
    'COPY s.a (id) FROM stdin;',
    '1\tCOPY x FROM stdin;',
    '\\\\.',
    'ünï',
    '\\.',
    'COPY s.empty (id) FROM stdin;',
    '\\.',
    'COPY "s"."line',
    'break; --" ("a',
    'b") FROM stdin;',
    'row of it',
    '\\.',
    '-- Name: COPY; Type: FUNCTION; Schema: s; Owner: o',
    "as 'COPY goes on in a body",
    "';",
    '-- Name: next; Type: FUNCTION; Schema: s; Owner: o',
    "as ' FROM stdin;",
    "';",
    '',
  ].join('\n'),
);

/** In chunks of this size, which cut lines, ends of rows and characters. */
async function* chunks(size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < DUMP.length; at += size) yield DUMP.subarray(at, at + size);
}

async function piecesBy(size: number): Promise<DumpPiece[]> {
  const pieces: DumpPiece[] = [];
  for await (const piece of dumpPieces(chunks(size))) pieces.push(piece);
  return pieces;
}

describe('the text of a dump', () => {
  for (const size of [1, 2, 3, 5, 7, 64, 10_000]) {
    it(`is taken apart and lost nowhere, in chunks of ${size} bytes`, async () => {
      const pieces = await piecesBy(size);
      expect(Buffer.concat(pieces.map(({ bytes }) => bytes)).equals(DUMP)).to.equal(true);
      const statements = pieces.flatMap((piece) => ('statement' in piece && piece.statement ? [piece.statement] : []));
      expect(statements).to.deep.equal([
        'COPY s.a (id) FROM stdin;',
        'COPY s.empty (id) FROM stdin;',
        'COPY "s"."line\nbreak; --" ("a\nb") FROM stdin;',
      ]);
      const rows = pieces.map(({ kind, bytes }) =>
        kind === 'rows' ? bytes.toString('latin1') : kind === 'end' ? '|' : '',
      );
      expect(Buffer.from(rows.join(''), 'latin1').toString()).to.equal(
        '1\tCOPY x FROM stdin;\n\\\\.\nünï\n||row of it\n|',
      );
    });
  }
});

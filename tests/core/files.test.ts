import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { currentEnv, setEnvironment } from '../../app/core/environment.js';
import { appendLine, makeFolder, writeFileAtomically } from '../../app/core/files.js';
import { withWorkspaceRoot } from '../../app/core/workspace-root.js';
import { withVariables } from '../support/variables.js';

const isRoot = process.getuid?.() === 0;
const USER = 65_534;

describe("the files of a workspace's state", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'manage-db-state-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const at = (name: string) => join(root, name);
  const modeOf = (path: string) => statSync(path).mode & 0o777;
  const ownerOf = ({ uid, gid } = statSync(root)) => [uid, gid];

  it('are new with a mode for their owner only, their folders too', () => {
    writeFileAtomically(at('a/b/secret'), 'x');
    appendLine(at('c/log'), 'line');
    expect(['a', 'a/b', 'c'].map((folder) => modeOf(at(folder)))).to.deep.equal([0o700, 0o700, 0o700]);
    expect([modeOf(at('a/b/secret')), modeOf(at('c/log'))]).to.deep.equal([0o600, 0o600]);
  });

  it('keep their mode when they are replaced, unless they must have one', () => {
    writeFileSync(at('shared'), 'old');
    chmodSync(at('shared'), 0o664);
    writeFileAtomically(at('shared'), 'new');
    expect(readFileSync(at('shared'), 'utf8')).to.equal('new');
    expect(modeOf(at('shared'))).to.equal(0o664);
    writeFileAtomically(at('shared'), 'secret', 0o600);
    expect(modeOf(at('shared'))).to.equal(0o600);
    expect(readdirSync(root)).to.deep.equal(['shared']);
  });

  describe('that root writes (sudo)', () => {
    before(function () {
      if (isRoot) return;
      process.stdout.write('      skipped: only root can give files away\n');
      this.skip();
    });

    it("belong to the folder's owner when they are new", () => {
      chownSync(root, USER, USER);
      makeFolder(at('a/b'));
      writeFileAtomically(at('a/b/file'), 'x');
      appendLine(at('log'), 'line');
      for (const name of ['a', 'a/b', 'a/b/file', 'log']) {
        expect(ownerOf(statSync(at(name))), name).to.deep.equal([USER, USER]);
      }
    });

    it('stay with the owner that they have', () => {
      writeFileSync(at('file'), 'old');
      chownSync(at('file'), USER, USER);
      writeFileAtomically(at('file'), 'new');
      appendLine(at('file'), 'line');
      expect(ownerOf(statSync(at('file')))).to.deep.equal([USER, USER]);
      expect(ownerOf()).to.deep.equal([0, 0]);
    });

    it('let the user go on after a switch of the environment', async () => {
      chownSync(root, USER, USER);
      writeFileSync(at('.flask_env_type'), 'development\n');
      chownSync(at('.flask_env_type'), USER, USER);
      chmodSync(at('.flask_env_type'), 0o644);
      const switched = await withVariables({}, () => {
        setEnvironment('testing', { workspace: root });
        delete process.env.MANAGE_DB_ENV;
        // root may read everything: only the user's own id shows what the user can do
        process.seteuid?.(USER);
        try {
          setEnvironment('staging', { workspace: root });
          delete process.env.MANAGE_DB_ENV;
          return withWorkspaceRoot(root, currentEnv);
        } finally {
          process.seteuid?.(0);
        }
      });
      expect(switched).to.equal('staging');
      expect(modeOf(at('.flask_env_type'))).to.equal(0o644);
    });
  });
});

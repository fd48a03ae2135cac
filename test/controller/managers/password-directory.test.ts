import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { AgentDirectory } from '../../../src/controller/managers/agent-directory.ts';
import { PasswordDirectory } from '../../../src/controller/managers/password-directory.ts';
import { tempDir } from '../../rpc/test-contract.ts';

/** A directory in memory that only this user may change, and one that every user may add names to. */
function inMemory(t: TestContext): { readonly runtime: string; readonly memory: string } {
  const all = mkdtempSync('/dev/shm/godwit-test-');
  t.after(() => rmSync(all, { recursive: true, force: true }));
  const [runtime, memory] = [path.join(all, 'run'), path.join(all, 'shm')];
  mkdirSync(runtime, { mode: 0o755 });
  mkdirSync(memory);
  chmodSync(memory, 0o1777);
  return { runtime, memory };
}

/** The name that builds before this one used: every user of the host can calculate it. */
function earlierName(stateDir: string): string {
  const mark = createHash('sha256').update(path.resolve(stateDir)).digest('hex').slice(0, 16);
  return `godwit-${process.getuid?.()}-${mark}`;
}

const wrote = (passwords: PasswordDirectory, name: string): string => {
  passwords.make();
  const directory = path.join(passwords.path, name);
  mkdirSync(directory);
  writeFileSync(path.join(directory, 'password'), 'secret');
  return directory;
};

test('a directory that another user made under the predictable name does not keep a manager from its password', (t) => {
  const stateDir = tempDir(t);
  const squatted = path.join('/dev/shm', earlierName(stateDir));
  // The mode stands for another owner.
  mkdirSync(squatted, { mode: 0o755 });
  t.after(() => rmSync(squatted, { recursive: true }));
  const directory = new AgentDirectory(stateDir, 'vc1');
  directory.writeSecret('secret');
  const file = path.join(stateDir, 'manager-passwords/vc1/password');
  assert.equal(readFileSync(file, 'utf8'), 'secret\n');
  assert.deepEqual(readdirSync(squatted), []);
  const target = readlinkSync(path.join(stateDir, 'manager-passwords'));
  directory.remove();
  assert.equal(existsSync(target), false);
});

test('the removal of a manager follows no link that another user made under the predictable name', (t) => {
  const [stateDir, other] = [tempDir(t), tempDir(t)];
  mkdirSync(path.join(other, 'vc1'));
  const link = path.join('/dev/shm', earlierName(stateDir));
  symlinkSync(other, link);
  t.after(() => rmSync(link));
  new AgentDirectory(stateDir, 'vc1').remove();
  assert.deepEqual(readdirSync(other), ['vc1']);
});

describe('the password directory of the managers', () => {
  test('the directory is below a runtime directory in memory of this user, and survives a restart there', (t) => {
    const { runtime, memory } = inMemory(t);
    const stateDir = tempDir(t);
    const options = { runtime: [path.join(stateDir, 'missing'), stateDir, runtime], memory };
    const passwords = new PasswordDirectory(stateDir, options);
    wrote(passwords, 'vc1');
    const target = readlinkSync(passwords.path);
    assert.equal(path.dirname(target), runtime);
    assert.equal(lstatSync(target).mode & 0o777, 0o700);
    new PasswordDirectory(stateDir, { runtime: [], memory }).make();
    assert.equal(readlinkSync(passwords.path), target);
  });

  test('the directory has a random name if other users may add names', (t) => {
    const { runtime, memory } = inMemory(t);
    chmodSync(runtime, 0o775);
    const targets = [tempDir(t), tempDir(t)].map((stateDir) => {
      const passwords = new PasswordDirectory(stateDir, { runtime: [runtime], memory });
      passwords.make();
      return readlinkSync(passwords.path);
    });
    assert.deepEqual(
      targets.map((each) => path.dirname(each)),
      [memory, memory],
    );
    assert.notEqual(targets[0], targets[1]);
  });

  test('the directory is created under another name after a restart of the host', (t) => {
    const { memory } = inMemory(t);
    const passwords = new PasswordDirectory(tempDir(t), { runtime: [], memory });
    passwords.make();
    const target = readlinkSync(passwords.path);
    rmSync(target, { recursive: true });
    // Another user saw the name before the restart.
    symlinkSync(memory, target);
    passwords.make();
    assert.notEqual(readlinkSync(passwords.path), target);
    assert.ok(lstatSync(readlinkSync(passwords.path)).isDirectory());
  });

  test('the directory is replaced and removed if other users may look into it', (t) => {
    const { memory } = inMemory(t);
    const passwords = new PasswordDirectory(tempDir(t), { runtime: [], memory });
    wrote(passwords, 'vc1');
    const target = readlinkSync(passwords.path);
    chmodSync(target, 0o750);
    passwords.make();
    assert.deepEqual(readdirSync(memory), [path.basename(readlinkSync(passwords.path))]);
    assert.equal(existsSync(target), false);
  });

  test('the directory is never removed if the operator has set the link to a directory of another name', (t) => {
    const { runtime, memory } = inMemory(t);
    const passwords = new PasswordDirectory(tempDir(t), { runtime: [], memory });
    symlinkSync(runtime, passwords.path);
    passwords.make();
    assert.equal(path.dirname(readlinkSync(passwords.path)), memory);
    assert.ok(existsSync(runtime));
  });

  test("an earlier build's directory, which its movers read, stays until its last manager is removed", (t) => {
    const { memory } = inMemory(t);
    const stateDir = tempDir(t);
    const earlier = path.join(memory, earlierName(stateDir));
    mkdirSync(path.join(earlier, 'vc1'), { recursive: true, mode: 0o700 });
    const passwords = new PasswordDirectory(stateDir, { runtime: [], memory });
    wrote(passwords, 'vc2');
    assert.ok(existsSync(path.join(earlier, 'vc2/password')));
    passwords.remove('vc1');
    assert.ok(existsSync(path.join(earlier, 'vc2/password')));
    passwords.remove('vc2');
    assert.deepEqual(readdirSync(memory), []);
    assert.deepEqual(readdirSync(stateDir), []);
  });

  test('names are removed in this directory and nowhere else', (t) => {
    const { memory } = inMemory(t);
    const stateDir = tempDir(t);
    const other = tempDir(t);
    mkdirSync(path.join(other, '.ssh'));
    symlinkSync(other, path.join(memory, earlierName(stateDir)));
    const passwords = new PasswordDirectory(stateDir, { runtime: [], memory });
    passwords.remove('.ssh');
    wrote(passwords, '.ssh');
    passwords.remove('.ssh');
    assert.deepEqual(readdirSync(other), ['.ssh']);
    assert.deepEqual(readdirSync(stateDir), []);
  });

  test('the directory is refused on a host without a file system in memory', (t) => {
    const stateDir = tempDir(t);
    const passwords = new PasswordDirectory(stateDir, { runtime: [], memory: stateDir });
    assert.throws(() => passwords.make(), { code: 'GODWIT_CONFIG' });
    assert.deepEqual(readdirSync(stateDir), []);
  });
});

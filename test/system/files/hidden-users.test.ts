import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileUsers } from '../../../src/system/files/file-users.ts';
import { identityOf } from '../../../src/system/files/open-files.ts';
import { threadsWithOwnTables } from '../../../src/system/files/thread-tables.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const soon = (): AbortSignal => AbortSignal.timeout(30_000);

function fileIn(directory: string, name: string): string {
  const file = path.join(directory, name);
  writeFileSync(file, name);
  return file;
}

/** A program that runs with words of its own, until the test ends, once it has printed a line. */
async function program(t: TestContext, words: readonly [string, ...string[]]) {
  const [name, ...args] = words;
  const child = spawn(name, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const ended = once(child, 'exit').then(() => 'ended');
  const printed = once(child.stdout, 'data').then(([data]) => String(data).trim());
  const line = await Promise.race([printed, ended]);
  assert.notEqual(line, 'ended');
  return { pid: child.pid ?? 0, line };
}

/** unshare(CLONE_FILES) in a second thread, which opens the file. */
const OPENS_APART = `use threads; $| = 1;
threads->create(sub {
  syscall(${process.arch === 'arm64' ? 97 : 272}, 0x400) == 0 or die;
  open(my $file, "+<", $ARGV[0]) or die; print "open\n"; sleep 600;
})->join`;
/** mmap(2) and close(2): MAP_SHARED is 1, MAP_PRIVATE 2. */
const MAPS = `$| = 1; my ($file, $mode, $flags) = @ARGV;
open(my $open, $mode, $file) or die;
my $to = $mode eq "<" ? 1 : 3;
syscall(${process.arch === 'arm64' ? 222 : 9}, 0, 4096, $to, $flags + 0, fileno($open), 0) > 0 or die;
close($open); print "mapped\n"; sleep 600`;

describe('a hidden user of a file', () => {
  const usersOf = async (id: string | undefined, except: readonly number[] = []) =>
    fileUsers({ identities: [id ?? ''], except }, soon());

  test('a hidden user of a file can be a thread with a separate table of open files', async (t) => {
    const file = fileIn(tempDir(t), 'a');
    const id = await identityOf(file);
    const { pid } = await program(t, ['perl', '-e', OPENS_APART, file]);
    const user = { identity: id ?? '', by: `process ${pid} (perl)`, mayWrite: true };
    assert.deepEqual(await usersOf(id), { users: [user], unseen: [] });
    assert.deepEqual((await usersOf(id, [pid])).users, []);
    // Without kcmp(2) the numbers of its open files show it.
    const ownTables: typeof threadsWithOwnTables = (threads, signal) =>
      threadsWithOwnTables(threads, signal, () => Promise.resolve(undefined));
    const asked = { identities: [id ?? ''], except: [], ownTables };
    assert.deepEqual((await fileUsers(asked, soon())).users, [user]);
  });

  test("a hidden user can be a program that has only mapped it; only a writer's shared mapping may write", async (t) => {
    const file = fileIn(tempDir(t), 'a');
    writeFileSync(file, Buffer.alloc(4096));
    const id = await identityOf(file);
    for (const [mode, flags, mayWrite] of [
      ['+<', 1, true],
      ['+<', 2, false],
      ['<', 1, false],
    ] as const) {
      const { pid } = await program(t, ['perl', '-e', MAPS, file, mode, String(flags)]);
      const { users } = await usersOf(id);
      const own = users.filter(({ by }) => by === `process ${pid} (perl)`);
      assert.deepEqual(
        own.map((each) => [each.identity, each.mayWrite]),
        [[id, mayWrite]],
      );
    }
  });

  test('a hidden user can be a loop device that was set up in another mount namespace', async (t) => {
    const directory = tempDir(t);
    const file = fileIn(directory, 'a');
    writeFileSync(file, Buffer.alloc(65_536));
    const there = path.join(directory, 'there');
    mkdirSync(there);
    // Another file has the path that the kernel reports.
    writeFileSync(path.join(there, 'a'), 'another');
    const setUp =
      'mount --bind "$1" "$2" && losetup --find --show "$2/a" || echo none; exec sleep 600';
    const words = ['--mount', 'sh', '-c', setUp, 'sh', directory, there];
    if (process.getuid?.() !== 0) return t.skip('mount namespaces take root');
    const { line: device } = await program(t, ['unshare', ...words]);
    if (device === 'none') return t.skip('loop devices cannot be made here');
    t.after(() => spawnSync('losetup', ['--detach', device]));
    const { users, unseen } = await usersOf(await identityOf(file));
    assert.deepEqual(unseen, []);
    assert.deepEqual(
      users.map(({ by, mayWrite }) => [by, mayWrite]),
      [[`the loop device ${device} (${there}/a)`, true]],
    );
    assert.deepEqual((await usersOf(await identityOf(path.join(there, 'a')))).users, []);
  });

  test('a hidden user can be a file mount in another mount namespace, unless only the hypervisor sees it', async (t) => {
    const directory = tempDir(t);
    const [file, at] = ['a', 'b c'].map((name) => fileIn(directory, name)) as [string, string];
    if (process.getuid?.() !== 0) return t.skip('mount namespaces take root');
    const setUp = 'mount --bind "$1" "$2" && echo there && exec sleep 600';
    const { pid } = await program(t, ['unshare', '--mount', 'sh', '-c', setUp, 'sh', file, at]);
    const id = await identityOf(file);
    const by = `the mount at ${at} in the mounts of process ${pid} (sleep)`;
    const user = { identity: id, by, mayWrite: false };
    assert.deepEqual(await usersOf(id), { users: [user], unseen: [] });
    assert.deepEqual((await usersOf(id, [pid])).users, []);
    assert.deepEqual((await usersOf(await identityOf(at))).users, []);
  });

  test('a hidden user can be a mount of a device in another mount namespace', async (t) => {
    const directory = tempDir(t);
    if (process.getuid?.() !== 0) return t.skip('mount namespaces take root');
    const file = fileIn(directory, 'a');
    writeFileSync(file, Buffer.alloc(1 << 20));
    const made = spawnSync('sh', [
      '-c',
      'mkfs.ext4 -q -F "$1" && losetup --find --show "$1"',
      'sh',
      file,
    ]);
    const device = made.stdout.toString().trim();
    if (device === '') return t.skip(`no loop device with ext4: ${made.stderr.toString()}`);
    t.after(() => spawnSync('losetup', ['--detach', device]));
    const at = path.join(directory, 'mnt');
    mkdirSync(at);
    const setUp = 'mount "$1" "$2" && echo there && exec sleep 600';
    const { pid } = await program(t, ['unshare', '--mount', 'sh', '-c', setUp, 'sh', device, at]);
    const { users } = await usersOf(await identityOf(device));
    const by = `the mount at ${at} in the mounts of process ${pid} (sleep)`;
    assert.deepEqual(users, [{ identity: await identityOf(device), by, mayWrite: true }]);
  });
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';

import { NbdClient } from '../../../src/disks/copy/nbd/client.ts';
import { hasClient, listPrograms } from '../../../src/drivers/qemu/programs/binaries.ts';
import { offerFrozen } from '../../../src/drivers/qemu/driver.ts';
import { formatImages, makeEmptyFile } from '../../../src/drivers/qemu/images/make-image.ts';
import { qemuOptions } from '../../../src/drivers/qemu/options.ts';
import { helperUser } from '../../../src/drivers/qemu/user/guest-user.ts';
import { qemuPrograms } from '../../conformance/qemu-place.ts';
import { tempDir } from '../../rpc/test-contract.ts';

/** QEMUs that Godwit starts without a guest: to make images, and to read those that guests wrote. */

const MIB = 1024 ** 2;
const { user } = qemuOptions.parse({});
const signal = AbortSignal.timeout(60_000);
const isRoot = process.getuid?.() === 0;
const skip = isRoot ? false : 'only root has other users';

for (const { file: program, version } of await qemuPrograms()) {
  // Others than root may not go through root's own directory.
  const file = realpathSync(program);
  describe(`a QEMU ${version} without a guest`, { skip }, () => {
    test('a QEMU runs as a separate user without privileges, and has the files that were opened for it', async (t) => {
      const { directory, image, base } = await images(t, file);
      const read = { node: 'top', file: image, format: 'qcow2' as const };
      const below = [{ file: base, format: 'raw' as const }];
      const seen = await offered(t, file, [{ ...read, below }], directory, async (socket) => {
        const client = await NbdClient.open(socket, 'top', signal);
        const bytes = await textAt(client);
        client.close();
        const own = helpersNow();
        assert.equal(own.length, 1);
        const [pid = 0] = own;
        assertConfined(pid);
        // A second one at the same time can neither trace nor end the first.
        await offered(t, file, [{ ...read, below }], `${directory}2`, () => {
          const users = new Set(helpersNow().map((each) => statusOf(each, 'Uid')));
          assert.equal(users.size, 2);
          return Promise.resolve();
        });
        return bytes;
      });
      assert.equal(seen, 'base');
      assert.equal(existsSync(directory), false);
      assert.equal(statSync(image).mode & 0o777, 0o600);
    });

    test('a QEMU does not follow the backing file that an image names', async (t) => {
      const { directory, image, base } = await images(t, file);
      // The guest’s disk is said to have none, and its header names a file of root.
      assert.ok(readFileSync(image).includes(base));
      const alone = [{ node: 'top', file: image, format: 'qcow2' as const, below: [] }];
      const text = await offered(t, file, alone, directory, async (socket) => {
        const client = await NbdClient.open(socket, 'top', signal);
        const found = await textAt(client);
        client.close();
        return found;
      });
      assert.equal(text, '\0\0\0\0');
    });

    test('a QEMU runs as nobody while it reports its features', async (t) => {
      const top = tempDir(t);
      chmodSync(top, 0o755);
      const reported = path.join(top, 'reported');
      writeFileSync(reported, '', { mode: 0o666 });
      chmodSync(reported, 0o666);
      const wrapper = path.join(top, 'qemu');
      const status = 'grep -hE "^(Uid|NoNewPrivs|CapBnd):" /proc/self/status | tr "\\n" " "';
      const script = `#!/bin/sh\n{ ${status}; echo; } >>${reported}\nexec ${file} "$@"\n`;
      writeFileSync(wrapper, script, { mode: 0o755 });
      const options = { host: 'a', binaries: [wrapper], user, cacheDir: tempDir(t) };
      const [found] = await listPrograms(options, signal);
      assert.equal(found?.sandbox, true);
      await hasClient(found, 'nfs', options, signal);
      const lines = readFileSync(reported, 'utf8').trim().split('\n');
      assert.ok(lines.length >= 3, lines.join('\n'));
      for (const line of lines) {
        assert.match(line, /^Uid:\t([1-9]\d*)\t\1\t\1\t\1 CapBnd:\t0+ NoNewPrivs:\t1 ?$/);
      }
    });

    test('a QEMU reports the TSC frequency of a guest under KVM, wherever there is KVM', async (t) => {
      const options = { host: 'a', binaries: [file], user, cacheDir: tempDir(t) };
      const [found] = await listPrograms(options, signal);
      if (found?.features.kvm === undefined) {
        assert.equal(found?.tscHz, undefined);
        return;
      }
      const { tscHz = 0 } = found;
      assert.ok(tscHz > 500_000_000 && tscHz < 10_000_000_000, String(tscHz));
    });
  });
}

/** An image of root's on a backing file of root's that begins with `base`. */
async function images(t: TestContext, file: string) {
  const top = tempDir(t);
  const [base, image] = [path.join(top, 'base.raw'), path.join(top, 'disk.qcow2')];
  writeFileSync(base, 'base', { mode: 0o600 });
  execFileSync('truncate', ['-s', '1M', base]);
  await makeEmptyFile(image, 0);
  const as = await helperUser(user, tempDir(t));
  const options = { driver: 'qcow2', size: MIB, 'backing-file': base, 'backing-fmt': 'raw' };
  const blank = { file: image, creation: (node: string) => ({ ...options, file: node }) };
  await formatImages({ file, host: 'a', as, sandbox: true }, [blank], signal);
  // Its directory is as one of a migration is.
  chmodSync(top, 0o700);
  return { directory: path.join(top, 'compare'), image, base };
}

async function offered<T>(
  t: TestContext,
  file: string,
  frozen: Parameters<typeof offerFrozen>[1]['images'],
  directory: string,
  work: (socket: string) => Promise<T>,
): Promise<T> {
  const as = await helperUser(user, tempDir(t));
  const program = { file, host: 'a', as, sandbox: true };
  return offerFrozen(program, { images: frozen, directory, forMs: 30_000 }, signal, work);
}

async function textAt(client: NbdClient): Promise<string> {
  const chunk = await client.read(0, 4, signal);
  return (chunk ?? Buffer.alloc(4)).toString();
}

/** Processes of the users of QEMUs without a guest that run an image server now. */
function helpersNow(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isHelper(pid));
}

function isHelper(pid: number): boolean {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    const ours = statusOf(pid, 'PPid') !== '1' && words.includes('-add-fd');
    return ours && path.basename(words[0] ?? '').startsWith('qemu') && ofThisProcess(pid);
  } catch {
    return false;
  }
}

/** A shell of ours holds it. */
function ofThisProcess(pid: number): boolean {
  const shell = Number(statusOf(pid, 'PPid'));
  return Number(statusOf(shell, 'PPid')) === process.pid;
}

function statusOf(pid: number, name: string): string {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1]?.trim() ?? '';
}

function assertConfined(pid: number): void {
  const ids = new Set(statusOf(pid, 'Uid').split('\t'));
  assert.equal(ids.size, 1);
  assert.notEqual([...ids][0], '0');
  assert.deepEqual(new Set(statusOf(pid, 'Gid').split('\t')), ids);
  assert.equal(statusOf(pid, 'Groups'), '');
  assert.equal(statusOf(pid, 'NoNewPrivs'), '1');
  assert.equal(statusOf(pid, 'Seccomp'), '2');
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
    assert.equal(Number(`0x${statusOf(pid, set)}`), 0, set);
  }
}

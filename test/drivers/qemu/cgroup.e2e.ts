import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { killProcess } from '../../../src/drivers/qemu/guest/process.ts';
import { qemuOptions } from '../../../src/drivers/qemu/options.ts';
import { attachStarted, launch } from '../../../src/drivers/qemu/process/launch.ts';
import { cgroupCheck, entering, removeCgroup } from '../../../src/drivers/qemu/user/cgroup.ts';
import { sandboxWords } from '../../../src/drivers/qemu/user/confine.ts';
import { helperUser, letIn } from '../../../src/drivers/qemu/user/guest-user.ts';
import { openAbove } from '../../../src/drivers/qemu/user/access.ts';
import { qemuPrograms } from '../../conformance/qemu-place.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const { user, cgroup } = qemuOptions.parse({});
const possible = process.getuid?.() === 0 && cgroupCheck(cgroup).verdict === 'pass';
const skip = possible ? false : 'this machine has no cgroups that we may make';
const LIMITS = { memoryBytes: 1024 ** 3, tasks: 512 };

for (const { file, version } of await qemuPrograms()) {
  test(
    `QEMU ${version} is in a separate cgroup, even after a takeover, and leaves none`,
    { skip },
    async (t) => {
      const guestDir = path.join(tempDir(t), 'guests', 'web1');
      mkdirSync(guestDir, { recursive: true });
      t.after(() => removeCgroup(guestDir));
      const as = await helperUser(user, path.dirname(guestDir));
      assert.ok(as !== undefined);
      await letIn(guestDir, as.gid);
      await openAbove(path.dirname(guestDir), 2);
      const place = { host: 'a', guest: 'web1', guestDir, as, limits: LIMITS };
      const argv = [
        ...'-machine none -S -nodefaults -no-user-config -display none'.split(' '),
        '-qmp',
        `unix:${guestDir}/qmp.sock,server=on,wait=off`,
        '-pidfile',
        path.join(guestDir, 'qemu.pid'),
        ...sandboxWords({ objects: [] }),
      ];
      const started = await launch(place, realpathSync(file), argv, t.signal, () => undefined);
      started.client.close();
      const { pid } = started.handle;
      try {
        const own = cgroupsOf(pid);
        assert.ok(own.length > 0, readFileSync(`/proc/${pid}/cgroup`, 'utf8'));
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        assert.match(status, new RegExp(`^Uid:\\t${as.uid}\\t`, 'm'));
        assert.match(status, /^Seccomp:\t2$/m);
        const again = await attachStarted(place, started.handle, t.signal);
        again?.client.close();
        assert.equal(again?.handle.pid, pid);
        assert.deepEqual(cgroupsOf(pid), own);
      } finally {
        await killProcess(started.handle, 5000, t.signal);
      }
      await removeCgroup(guestDir);
      // There is none left to enter.
      assert.equal(entering(guestDir, { file: 'qemu', argv: [] }).file, 'qemu');
    },
  );
}

function cgroupsOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    .split('\n')
    .filter((line) => line.includes('/godwit/web1.'));
}

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ColdStart } from '../../../src/drivers/qemu/destination.ts';
import type { DestinationHold } from '../../../src/drivers/qemu/destination-hold.ts';
import { launchIn } from '../../../src/drivers/qemu/handle.ts';
import { relaunch } from '../../../src/drivers/qemu/process/relaunch.ts';
import { lockLimitOf } from '../../../src/drivers/qemu/user/confine.ts';
import { bootId } from '../../../src/system/processes/process.ts';
import { tempDir } from '../../rpc/test-contract.ts';

/** Less than any host's own, which anybody may set. */
const LIMIT = 64 * 1024;
const KIB = '64';
const line = (soft: string, hard: string) =>
  `Max locked memory         ${soft}   ${hard}   bytes \n`;

describe('the memory lock limit of a restarted QEMU', () => {
  test("the limit is the previous process's limit after a cold move", async (t) => {
    const guestDir = tempDir(t);
    const out = path.join(guestDir, 'out');
    const hold = { reattach: async () => false, judge: async (why: string) => new Error(why) };
    const cold = new ColdStart(
      { host: 'b', guest: 'web1', guestDir },
      hold as unknown as DestinationHold,
      1000,
    );
    const known = cold.knows('/bin/sh', ['-c', `ulimit -l >${out}`], { lockBytes: LIMIT });
    assert.ok(known.launch !== undefined);
    assert.equal(launchIn({ ...known.launch }, 'web1', 'b').lockBytes, LIMIT, 'its record has it');
    await assert.rejects(cold.start(t.signal));
    assert.equal(readFileSync(out, 'utf8').trim(), KIB);
  });

  test("the limit is the limit of the source's process", async (t) => {
    const dir = tempDir(t);
    const out = path.join(dir, 'out');
    const { pid } = spawnSync('true');
    const old = { driver: 'qemu', name: 'web1', pid, startTicks: 1, bootId: bootId() } as const;
    const argv = ['-c', `ulimit -l >${out}`];
    const launch = { binary: '/bin/sh', argv, cwd: dir, lockBytes: LIMIT };
    const handle = { ...old, monitor: path.join(dir, 'qmp.sock') };
    await assert.rejects(relaunch('a', handle, launch, t.signal), { code: 'GODWIT_RESTART' });
    assert.equal(readFileSync(out, 'utf8').trim(), KIB);
  });

  test("the limit is kept if the agent's own limit is lower and it can raise the process's", () => {
    const own = line('65536', '131072');
    assert.equal(lockLimitOf(line('65536', '65536'), own, true), undefined);
    assert.equal(lockLimitOf(line('4096', '65536'), own, true), undefined);
    assert.equal(lockLimitOf(line('1048576', '1048576'), own, true), 1_048_576);
    assert.equal(lockLimitOf(line('unlimited', 'unlimited'), own, true), 'unlimited');
    assert.equal(lockLimitOf(line('131072', '131072'), own, false), 131_072);
    // Its start would fail, which a guest without passthrough needs no more than this.
    assert.equal(lockLimitOf(line('1048576', '1048576'), own, false), undefined);
    assert.equal(lockLimitOf('', own, true), undefined);
  });
});

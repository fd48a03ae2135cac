import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { Keepers, livingOf } from '../../../../src/drivers/criu/pager/keepers.ts';
import { bootId, isAlive, startTicksOf } from '../../../../src/system/processes/process.ts';
import { skip } from './place.ts';

test(
  'the keepers of the previous pager end once the new ones are written down next to them',
  { skip },
  async () => {
    const old = spawn('sleep', ['60']);
    const ended = once(old, 'exit');
    const before = { pid: old.pid ?? 0, startTicks: startTicksOf(old.pid ?? 0) ?? 0 };
    const written: number[][] = [];
    const keepers = new Keepers((all) => {
      // Each that lives is known, whenever a pager ends.
      if (written.length === 0) assert.ok(isAlive(before), 'it lives until then');
      written.push(all.map(({ pid }) => pid));
    });
    try {
      keepers.begin([before]);
      const own = keepers.identities.map(({ pid }) => pid);
      for (const each of keepers.identities) assert.equal(each.bootId, bootId());
      assert.deepEqual(written, [[before.pid, ...own], own]);
      assert.deepEqual(await ended, [null, 'SIGKILL']);
      // A journal takes 16.
      keepers.begin(Array.from({ length: 20 }, () => before));
      assert.deepEqual(
        written.slice(2).map((all) => all.length),
        [16, 2],
      );
    } finally {
      keepers.end();
      old.kill('SIGKILL');
    }
  },
);

test("a process with the number and start time of an earlier boot's keeper is not a keeper", () => {
  const own = { pid: process.pid, startTicks: startTicksOf(process.pid) ?? 0 };
  const now = { ...own, bootId: bootId() };
  const before = { ...own, bootId: '00000000-0000-0000-0000-000000000000' };
  assert.deepEqual(livingOf([before, own, now]), [own, now], 'of earlier builds none has a boot');
});

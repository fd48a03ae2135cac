import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { HostInventory } from '../../../src/agent/host/inventory.ts';
import { Load, thisLoad } from '../../../src/agent/host/load.ts';
import { OwnProcessors, ownProcessors } from '../../../src/agent/host/own-processors.ts';
import { systemClock } from '../../../src/clock.ts';
import { toGodwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';

function cgroupOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-cgroup-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(directory, name), text);
  return directory;
}

test("a host that is a cgroup has the cgroup's processors, in its inventory and in its samples", async (t) => {
  const waited = 'some avg10=0.00 avg60=0.00 avg300=0.00 total=5000000\n';
  const cgroup = cgroupOf(t, {
    'cpu.stat': 'usage_usec 3000000\n',
    'cpu.max': '100000 100000\n',
    'cpu.pressure': waited,
  });
  const processors = ownProcessors({ processor: { cgroup } });
  assert.ok(processors !== undefined);
  const reader = {
    proc: async () => 'processor : 0\nprocessor : 1\n',
    links: async () => '[]',
  };
  const inventory = new HostInventory([], systemClock, reader, () => undefined, processors);
  assert.equal((await inventory.machine()).processor.cores, 1);
  const parts = { clock: systemClock, log: silentLog };
  const load = new Load(() => [], parts, { ...thisLoad, processors });
  const feed = load.follow();
  await new Promise<void>((resolve) => {
    feed.waiting.add(resolve);
  });
  feed.release();
  // Nobody used anything, or waited, in these files: whatever the machine did meanwhile is not this host's.
  assert.deepEqual(feed.newest()?.processor, { cores: 1, used: 0, steal: 0 });
  assert.equal(feed.newest()?.pressure?.processor, 0);
});

test("configured cores prevail over the cgroup's cores", async (t) => {
  const cgroup = cgroupOf(t, { 'cpu.stat': 'usage_usec 0\n', 'cpu.max': '100000 100000\n' });
  assert.equal(await new OwnProcessors({ cgroup, cores: 3 }).cores(8), 3);
});

test('a directory that is not a cgroup is reported instead of an idle host', async (t) => {
  const own = new OwnProcessors({ cgroup: cgroupOf(t, {}) });
  await assert.rejects(own.ticks(2, 1), (thrown) => {
    const { code, message } = toGodwitError(thrown);
    return code === 'GODWIT_HOST_LACKS' && message.includes('cpu.stat');
  });
});

test('a host without that setting is its whole machine', () => {
  assert.equal(ownProcessors({}), undefined);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { VsphereDriver } from '../../src/drivers/vsphere/driver.ts';
import type { GuestHandle } from '../../src/port/inventory.ts';
import { Vcsim } from '../drivers/vsphere/support/vcsim.ts';
import { AgentHost } from './support/agent-host.ts';
import { leaveHeld } from './support/held-migration.ts';

const [HERE, THERE] = ['dc0-c0-h0', 'dc0-c0-h1'];
const READ_MS = 60_000;
let vcenter: Vcsim;
let host: AgentHost;

before(async () => {
  vcenter = await Vcsim.open();
  host = await AgentHost.start('steers', { qemu: { programs: [] }, vsphere: vcenter.section });
});
after(async () => {
  await host?.close();
  await vcenter?.close();
});

async function handleOf(guest: string): Promise<GuestHandle> {
  const driver = new VsphereDriver(vcenter.options);
  try {
    const options = { host: 'steers', busy: new Set<string>(), configured: [], only: guest };
    const [found] = await driver.discover(options, AbortSignal.timeout(READ_MS));
    return found?.handle ?? assert.fail(`${guest} is not listed`);
  } finally {
    await driver.close();
  }
}

/** A held migration of that guest, whose agent is up again. */
async function held(id: string, guest: string): Promise<void> {
  const handle = await handleOf(guest);
  await host.agentDown();
  leaveHeld(host.migrationDir(id), { id, guest, handle, from: HERE, to: THERE });
  await host.agentUp();
  assert.equal((await host.progress(id)).phase, 'held');
}

test('a held migration whose guest the vCenter shows at its source is resolved as failed, and not otherwise', async () => {
  const [id, guest] = ['m-held00001', 'DC0_C0_RP0_VM0'];
  await vcenter.ask({ do: 'move', name: guest, value: 'DC0_C0_H0' });
  await held(id, guest);
  const shown = await host.godwit('resolve', id);
  assert.equal(shown.exit, 0, shown.err);
  assert.match(shown.out, /its manager: at dc0-c0-h0; nothing moves it/);
  const wrong = ['resolve', id, '--run-at', 'destination', '--confirm', guest, '--yes-i-know'];
  assert.equal((await host.godwit(...wrong)).exit, 4);
  const right = await host.godwit('resolve', id, '--run-at', 'source', '--confirm', guest);
  assert.equal(right.exit, 0, right.err + right.out);
  const found = await host.reportOf(id);
  assert.deepEqual([found.outcome, found.runsAt], ['failed', 'source']);
  assert.equal((await vcenter.guests())[guest]?.tasks, 0, 'nothing is ordered once more');
});

test('a held migration whose guest the vCenter shows at its destination is resolved as done', async () => {
  const [id, guest] = ['m-held00002', 'DC0_C0_RP0_VM1'];
  await vcenter.ask({ do: 'move', name: guest, value: 'DC0_C0_H1' });
  await held(id, guest);
  const words = ['resolve', id, '--run-at', 'destination', '--confirm', guest];
  const resolved = await host.godwit(...words);
  assert.equal(resolved.exit, 0, resolved.err + resolved.out);
  const found = await host.reportOf(id);
  assert.deepEqual([found.outcome, found.runsAt], ['done', 'destination']);
  assert.equal((await vcenter.guests())[guest]?.tasks, 0, 'nothing is ordered once more');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { qemuBinaries } from '../../src/lab/guest/qemu.ts';
import { startGuest } from '../../src/lab/guest/start.ts';
import { watchGuest } from './support/client-view.ts';
import { askGuestQemu } from './support/monitors.ts';
import { move } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld } from './support/world.ts';

const MIB = 1024 ** 2;

test('a guest of QEMU 7.2 moves to a host with a newer QEMU and keeps its machine type', async (t) => {
  const qemus = await qemuBinaries();
  const old = qemus.find(({ version }) => version.startsWith('7.2.'));
  const [newest] = qemus;
  if (old === undefined || newest === undefined || newest.version === old.version) {
    const have = qemus.map(({ version }) => version).join(', ') || 'none';
    t.skip(`it takes QEMU 7.2 and a newer one; this machine has ${have}`);
    return;
  }
  const configure = (host: string) => ({ qemu: [host === 'a' ? old.path : newest.path] });
  const world = await openWorld('old', { hosts: 2, configure });
  try {
    // A quiet guest: emulated by a QEMU before 9.0, a busy one may lose a dirty page on the way.
    await startGuest(world.lab, {
      name: 'elder',
      host: 'a',
      memoryBytes: 192 * MIB,
      workingSetBytes: 16 * MIB,
      qemu: '7.2',
    });
    const elder = await watchGuest(world, 'elder', { intervalMs: 250 });
    const type = async (host: string): Promise<unknown> =>
      askGuestQemu(world, 'elder', host, 'qom-get', { path: '/machine', property: 'type' });
    const before = await type('a');
    await elder.unharmed('b', () => move(world, { guest: 'elder', from: 'a', to: 'b' }));
    assert.equal(await type('b'), before);
    const info = await world.agent('b').guest({ params: { guest: 'elder' } });
    assert.equal(info.machineType, 'pc-q35-7.2');
    assert.equal(info.hypervisorVersion, newest.version);
    await assertOnlyGuests(world, { b: ['elder'] });
  } finally {
    await world.close();
  }
});

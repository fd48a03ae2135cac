import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { qemuBinaries } from '../../lab/guest/qemu.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { virsh } from '../../lab/libvirt/daemon.ts';
import { domainStates, startDomain } from '../../lab/libvirt/guest.ts';
import { openProbe } from '../../lab/probe/probe.ts';
import { untilNoWire } from './support/libvirt-wire.ts';
import { move } from './support/moves.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const NEWER = path.join(cacheDirectory(), 'libvirt/backports');
const SETUP = path.join(import.meta.dirname, '../../tools/setup.sh');
const skip = existsSync('/etc/debian_version') ? false : 'the newer libvirt is one of Debian';
/** There and back so often. */
const ROUNDS = Number(process.env['LIBVIRT_WIRE_ROUNDS'] ?? 2);

/**
 * The libvirt of Debian's backports with the newest QEMU of this machine. An emulated guest of QEMU 9.0 or newer loses no page
 * on its way: here its memory and its client are judged.
 */
describe('a guest of a newer libvirt and QEMU whose memory goes over the wire', { skip }, () => {
  let world: World;
  let lacks: string | undefined;

  before(async () => {
    execFileSync('bash', [SETUP, '--only', 'libvirt'], { stdio: ['ignore', 2, 2] });
    const [newest] = await qemuBinaries();
    const version = newest?.version ?? '0';
    if (Number.parseInt(version, 10) < 9) lacks = `the newest QEMU here is ${version}`;
    const packages = { manager: 'libvirt', managerPackages: NEWER } as const;
    world = await openWorld('lvwnew', { hosts: 2, ...packages });
  });
  after(() => world?.close());

  test('a guest keeps its memory and its client in every mode, and the way back costs a fraction', async (t) => {
    if (lacks !== undefined) return t.skip(lacks);
    const { lab } = world;
    assert.match(
      await virsh(lab, 'a', ['version', '--daemon']),
      /Running against daemon: (9\.[4-9]|\d\d)/,
    );
    await startDomain(lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: 192 * MIB,
      workingSetBytes: 32 * MIB,
      dirtyBytesPerSecond: MIB,
    });
    const probe = await openProbe(lab, 'web1');
    await probe.mark();
    for (let round = 0; round < ROUNDS; round += 1) {
      const sent: number[] = [];
      for (const [from, to] of [
        ['a', 'b'],
        ['b', 'a'],
      ] as const) {
        const { wire, downtimeMs } = await move(world, { guest: 'web1', from, to, path: 'wire' });
        sent.push(wire?.linkBytes ?? 0);
        t.diagnostic(
          `to ${to}: ${wire?.linkBytes} bytes over the links, downtime ${downtimeMs} ms`,
        );
        assert.deepEqual(await domainStates(lab, 'web1'), [{ host: to, status: 'running' }]);
        assert.equal((await verifyGuest(lab, 'web1')).ok, true);
      }
      const [first = 0, second = 0] = sent;
      assert.ok(first > 0 && second > 0);
      if (round === 0) assert.ok(second < first / 3, `${second} of ${first} bytes`);
    }
    const view = await probe.settle();
    assert.equal(view.connectionKept, true, view.reason ?? '');
    await probe.stop();
    await untilNoWire(lab);
    return undefined;
  });
});

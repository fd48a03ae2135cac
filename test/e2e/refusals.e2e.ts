import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { AgentConfigInput } from '../../src/config.ts';
import { inHost } from '../../lab/entry.ts';
import { qemuBinaries, type QemuBinary } from '../../lab/guest/qemu.ts';
import { startBareGuest, type BareGuest, type BareGuestRequest } from './support/bare-guest.ts';
import { godwit } from './support/cli.ts';
import { assertSays, checkedRefusal, refusalOf } from './support/moves.ts';
import { assertUnchanged, hostsNow } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, type World } from './support/world.ts';

const ONLY_PORT = 49_200;

const words = (text: string): string[] => text.split(' ');

/** Hosts that lack something: c memory, d ports, e a QEMU as new as the guest's. */
function oddHosts(oldest: QemuBinary | undefined) {
  return (host: string): Partial<AgentConfigInput> => {
    if (host === 'c') return { limits: { memoryReserveBytes: 2 ** 50 } };
    if (host === 'd') return { ports: { from: ONLY_PORT, to: ONLY_PORT } };
    return host === 'e' && oldest !== undefined
      ? { drivers: { qemu: { programs: [oldest.path] } } }
      : {};
  };
}

describe('an impossible migration', () => {
  let world: World;
  let qemus: QemuBinary[];

  before(async () => {
    qemus = await qemuBinaries();
    const configure = oddHosts(qemus.length > 1 ? qemus.at(-1) : undefined);
    world = await openWorld('refuse', { hosts: 5, configure });
  });
  after(() => world?.close());

  /** Starts a guest on a, has it refused, and sees that it goes on as it was and that nothing is left anywhere. */
  async function refused(
    to: string,
    { state = 'running', ...guest }: Omit<BareGuestRequest, 'host'> & { state?: string },
    check: (refusal: Awaited<ReturnType<typeof refusalOf>>) => void,
    prepare?: (guest: BareGuest) => Promise<void>,
  ): Promise<void> {
    const running = await startBareGuest(world, { ...guest, host: 'a' });
    try {
      await prepare?.(running);
      const hosts = await hostsNow(world.lab);
      const predicted = await checkedRefusal(world, { guest: guest.name, from: 'a', to });
      await assertUnchanged(world, hosts);
      const error = await refusalOf(world, { guest: guest.name, from: 'a', to });
      check(error);
      assert.equal(predicted?.code, error.code, `the check said: ${predicted?.message}`);
      assert.equal(await running.status(), state);
      await assertUnchanged(world, hosts);
    } finally {
      await running.stop();
    }
  }

  test('a host without enough memory refuses, with the available and the required size', async () => {
    await refused('c', { name: 'fat' }, (error) => {
      assertSays(error, 'GODWIT_MEMORY_SHORT', 'c has 0 B free', 'fat needs 64 MiB', 'Free memory');
    });
  });

  test('a host that has a guest of that name refuses', async () => {
    const other = await startBareGuest(world, { name: 'twin', host: 'b' });
    try {
      await refused('b', { name: 'twin' }, (error) => {
        assertSays(error, 'GODWIT_NAME_IN_USE', 'b already has', 'twin');
      });
      assert.equal(await other.status(), 'running');
    } finally {
      await other.stop();
    }
  });

  test('a host without a free port for the memory refuses', async () => {
    await refused('d', { name: 'portless' }, (error) => {
      assertSays(error, 'GODWIT_PORT_NONE', 'd has no free port', String(ONLY_PORT), 'ports');
    });
  });

  test('a host without a free port for its mover refuses', async () => {
    const listen = `require('node:net').createServer().listen(${ONLY_PORT}, () => console.log('up'))`;
    const [program = '', ...args] = inHost(world.lab, 'd', [process.execPath, '-e', listen]);
    const holder = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(holder.stdout, 'data');
      await refused('d', { name: 'portless' }, (error) => {
        assertSays(error, 'GODWIT_PORT_NONE', 'd has no free port', String(ONLY_PORT), 'ports');
      });
    } finally {
      holder.kill('SIGKILL');
      await once(holder, 'close');
    }
  });

  test('a host whose QEMU is too old for the machine type refuses', async (t) => {
    const [newest, oldest] = [qemus[0], qemus.at(-1)];
    if (newest === undefined || newest.version === oldest?.version) {
      t.skip('this machine has one QEMU only; `npm run setup` brings a second where it can');
      return;
    }
    await refused('e', { name: 'modern' }, (error) => {
      const version = oldest?.version ?? '';
      assertSays(error, 'GODWIT_MACHINE_TYPE', 'no hypervisor on e', 'pc-q35-', version, 'Install');
    });
  });

  const UNMOVABLE: [string, string[], string[]][] = [
    [
      'shared memory',
      words(
        '-object memory-backend-memfd,id=mem1,size=1M,share=on -device ivshmem-plain,memdev=mem1,id=shared1',
      ),
      ['shared1', 'ivshmem-plain', 'shares memory', '--unplug'],
    ],
    [
      'USB passthrough',
      words('-device qemu-xhci,id=xhci -device usb-host,id=stick1,vendorid=1,productid=1'),
      ['stick1', 'usb-host', 'passed through', '--unplug'],
    ],
    [
      'a shared directory',
      words(
        '-fsdev local,id=dir1,path=/usr/share,security_model=none -device virtio-9p-pci,fsdev=dir1,mount_tag=share,id=share1',
      ),
      ['share1', 'virtio-9p-pci', 'directory', 'Unplug'],
    ],
  ];
  for (const [what, args, said] of UNMOVABLE) {
    test(`a guest with ${what} is refused, by the device's name`, async () => {
      await refused('b', { name: 'tied', args }, (error) => {
        assertSays(error, 'GODWIT_DEVICE_UNMOVABLE', 'tied', ...said);
      });
    });
  }

  test('a guest with a local disk is refused, by the name of disk and file', async () => {
    const drive = 'if=none,id=disk1,driver=raw,file=/dev/zero,read-only=on';
    const args = ['-drive', drive, '-device', 'virtio-blk-pci,drive=disk1,id=vda'];
    await refused('b', { name: 'heavy', args }, (error) => {
      assertSays(error, 'GODWIT_DISK_LOCAL', 'heavy', 'vda', '/dev/zero', 'detach');
    });
  });

  test('a guest is refused for a device that was plugged in while it ran', async () => {
    const args = ['-device', 'qemu-xhci,id=xhci'];
    const stick = { driver: 'usb-host', id: 'late1', vendorid: 1, productid: 1 };
    await refused(
      'b',
      { name: 'plugged', args },
      (error) => assertSays(error, 'GODWIT_DEVICE_UNMOVABLE', 'plugged', 'late1', 'usb-host'),
      async (guest) => void (await guest.ask('device_add', stick)),
    );
    const disk = { driver: 'null-co', 'node-name': 'late2', size: 2 ** 20 };
    await refused(
      'b',
      { name: 'plugged', args },
      (error) => assertSays(error, 'GODWIT_DISK_LOCAL', 'plugged', 'late3'),
      async (guest) => {
        await guest.ask('blockdev-add', disk);
        await guest.ask('device_add', { driver: 'usb-storage', id: 'late3', drive: 'late2' });
      },
    );
  });

  test('a guest that does not run is refused', async () => {
    await refused(
      'b',
      { name: 'asleep', state: 'paused' },
      (error) => assertSays(error, 'GODWIT_GUEST_STATE', 'asleep is paused', 'Resume'),
      async (guest) => void (await guest.ask('stop')),
    );
  });

  test('a guest whose monitor another manager holds is refused, and listed with that reason', async () => {
    const guest = await startBareGuest(world, { name: 'theirs', host: 'a', ownMonitor: false });
    const manager = connect(guest.qmp);
    try {
      await once(manager, 'data');
      const query = { fresh: 'true' } as const;
      const { guests } = await world.agent('a').guests({ query });
      const [listed] = guests;
      assert.deepEqual([listed?.name, listed?.manager], ['theirs', 'another program']);
      const hosts = await hostsNow(world.lab);
      const error = await refusalOf(world, { guest: 'theirs', from: 'a', to: 'b' });
      assertSays(
        error,
        'GODWIT_GUEST_MANAGED',
        'theirs',
        'QMP',
        'another program',
        'second QMP socket',
      );
      await assertUnchanged(world, hosts);
    } finally {
      manager.destroy();
    }
    // It answers again once it has turned away those who waited behind the manager.
    const answers = (): Promise<string | undefined> => guest.status().catch(() => undefined);
    assert.equal(await until('the monitor to be free', 10_000, answers), 'running');
    await guest.stop();
  });

  test("a migration to the guest's present host, or with an unknown name, is refused", async () => {
    const guest = await startBareGuest(world, { name: 'web1', host: 'a' });
    try {
      const here = await godwit(world, 'migrate', 'web1', '--to', 'a');
      assert.equal(here.exit, 4);
      assert.match(here.err, /web1 already runs on a[\s\S]*--to/);
      const host = await godwit(world, 'migrate', 'web1', '--to', 'bb');
      assert.equal(host.exit, 3);
      assert.match(host.err, /no host is called bb[\s\S]*[Dd]id you mean b\b/);
      const nobody = await godwit(world, 'migrate', 'wbe1', '--to', 'b');
      assert.equal(nobody.exit, 3);
      assert.match(nobody.err, /no guest is called wbe1[\s\S]*[Dd]id you mean web1/);
      const flag = await godwit(world, 'migrate', 'web1', '--to', 'b', '--steams', '4');
      assert.equal(flag.exit, 2);
      assert.match(flag.err, /--steams[\s\S]*[Dd]id you mean --streams/);
      assert.equal(await guest.status(), 'running');
    } finally {
      await guest.stop();
    }
  });
});

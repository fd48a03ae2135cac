import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { runCommand } from '../../lab/command.ts';
import { inHost } from '../../lab/entry.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { assertSays, checkedRefusal, move, refusalOf } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const NARROW_SENDING = 'echo 4096 16384 1048576 > /proc/sys/net/ipv4/tcp_wmem';
const ZERO = { guest: 'web1', streams: 4, transport: 'zero-copy' } as const;

describe('memory transports other than TCP with TLS', () => {
  let world: World;

  before(async () => {
    // c does not let memory go unencrypted.
    const configure = (host: string) =>
      host === 'c' ? {} : { unencryptedMemory: ['a', 'b', 'c'].filter((each) => each !== host) };
    world = await openWorld('carry', { hosts: 3, configure });
    const memory = { memoryBytes: 192 * MIB, workingSetBytes: 32 * MIB };
    await startGuest(world.lab, { name: 'web1', host: 'a', ...memory });
  });
  after(() => world?.close());

  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, 'web1'), [host]);
    const found = await verifyGuest(world.lab, 'web1');
    assert.ok(found.ok, JSON.stringify(found));
    await assertOnlyGuests(world, { [host]: ['web1'] });
  }

  test('unencrypted memory is refused by name if a host does not allow it', async () => {
    const asked = { ...ZERO, from: 'a', to: 'c' } as const;
    const words = ['--transport zero-copy', 'c does not let memory go unencrypted'];
    const error = await refusalOf(world, asked);
    assertSays(error, 'GODWIT_CAPABILITY', ...words);
    assert.deepEqual((await checkedRefusal(world, asked))?.message, error.message);
    await whole('a');
  });

  test('a missing RDMA device is refused by name', async () => {
    const asked = { guest: 'web1', from: 'a', to: 'b', transport: 'rdma' } as const;
    const error = await refusalOf(world, asked);
    assertSays(error, 'GODWIT_CAPABILITY', 'a has no RDMA device with an active port');
    await whole('a');
  });

  test('zero-copy memory goes on several streams, and back on fewer, with enough lockable memory for QEMU', async () => {
    const report = await move(world, { ...ZERO, from: 'a', to: 'b' });
    assert.equal(report.settings.transport, 'zero-copy');
    await whole('b');
    // There it runs as a user of its own, which may lock little.
    const back = { ...ZERO, from: 'b', to: 'a' } as const;
    const error = await refusalOf(world, back);
    assertSays(error, 'GODWIT_CAPABILITY', 'QEMU may lock', 'of memory');
    assert.match(error.hint ?? '', /prlimit --pid \d+ --memlock=\d+/);
    // The less a connection may have under way, the less has to be locked.
    await runCommand(inHost(world.lab, 'b', ['sh', '-c', NARROW_SENDING]));
    await move(world, { ...back, streams: 2 });
    await whole('a');
  });

  test('zero-copy is refused by name on one stream', async () => {
    const error = await refusalOf(world, { ...ZERO, streams: 1, from: 'a', to: 'b' });
    assertSays(error, 'GODWIT_CAPABILITY', 'several streams');
    await whole('a');
  });
});

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { inHost } from '../../lab/entry.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { startBareGuest } from './support/bare-guest.ts';
import { move, refusalOf } from './support/moves.ts';
import { openWorld, type World } from './support/world.ts';

const run = promisify(execFile);
const NETWORK = 'user,id=n0,net=10.9.0.0/24,hostname=web1,hostfwd=tcp:127.0.0.1:5522-10.9.0.15:22';

describe('a guest on a user network', () => {
  let world: World;
  before(async () => {
    world = await openWorld('usernt', { hosts: 2 });
  });
  after(() => world?.close());

  /** TCP ports on which programs of a host listen. */
  async function listening(host: string): Promise<string> {
    const [program = '', ...words] = inHost(world.lab, host, ['ss', '-ltnH']);
    return (await run(program, words)).stdout;
  }

  test('a guest has its network, and its ports at its present host, including an added one', async () => {
    const args = ['-netdev', NETWORK, '-device', 'virtio-net-pci,netdev=n0'];
    const guest = await startBareGuest(world, { name: 'fwd1', host: 'a', args });
    const added = { 'command-line': 'hostfwd_add n0 tcp::5523-:80' };
    await guest.ask('human-monitor-command', added);
    assert.match(await listening('a'), /127\.0\.0\.1:5522/);
    const report = await move(world, { guest: 'fwd1', from: 'a', to: 'b' });
    const reported = report.checks.map(({ evidence }) => evidence).join('\n');
    assert.match(reported, /loses its connections/);
    assert.match(reported, /tcp:127\.0\.0\.1:5522-10\.9\.0\.15:22 will lead to n0/);
    assert.deepEqual(await runningOn(world.lab, 'fwd1'), ['b']);
    assert.match(await listening('b'), /127\.0\.0\.1:5522/);
    assert.match(await listening('b'), /0\.0\.0\.0:5523/);
    assert.doesNotMatch(await listening('a'), /552[23]/);
    await move(world, { guest: 'fwd1', from: 'b', to: 'a' });
    assert.match(await listening('a'), /127\.0\.0\.1:5522/);
    assert.doesNotMatch(await listening('b'), /552[23]/);
  });

  test('a guest stays at its source while its port is taken at the destination', async () => {
    const args = ['-netdev', 'user,id=n0,hostfwd=tcp:127.0.0.1:5530-:22'];
    const words = [...args, '-device', 'virtio-net-pci,netdev=n0'];
    await startBareGuest(world, { name: 'fwd2', host: 'a', args: words });
    const other = await startBareGuest(world, { name: 'other', host: 'b', args: words });
    const error = await refusalOf(world, { guest: 'fwd2', from: 'a', to: 'b' });
    assert.equal(error.code, 'GODWIT_DEVICE_UNMAPPED');
    assert.match(error.message, /5530.*EADDRINUSE/);
    await other.stop();
    await move(world, { guest: 'fwd2', from: 'a', to: 'b' });
  });
});

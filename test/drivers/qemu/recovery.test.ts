import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../../src/errors.ts';
import {
  listenForRecovery,
  pauseStream,
  recoverUnheard,
  type ListenAt,
} from '../../../src/drivers/qemu/recovery.ts';
import type { MonitorWatch } from '../../../src/drivers/qemu/session.ts';
import type { LaunchSite } from '../../../src/drivers/qemu/process/launch.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { fakeMonitor, Refusal, type Answerer } from './fake-monitor.ts';

const soon = (): AbortSignal => AbortSignal.timeout(20_000);

describe('pausing a post-copy stream', () => {
  /** What is said to the monitor, and which events are waited for. */
  async function pause(stream: string, answerer?: Answerer) {
    const { client, said } = fakeMonitor(answerer);
    const waited: boolean[] = [];
    const until = async (wanted: (event: { type: string }) => boolean): Promise<void> =>
      void waited.push(wanted({ type: 'postcopy-paused' }), wanted({ type: 'active' }));
    await pauseStream(client, { stream, until } as unknown as MonitorWatch, soon());
    return { said, waited };
  }

  test('a stream that is paused, or waits for a new connection, is left alone', async () => {
    for (const stream of ['postcopy-paused', 'setup'])
      assert.deepEqual(await pause(stream), { said: [], waited: [] });
  });

  test('a stream is paused, and the pause is waited for', async () => {
    const { said, waited } = await pause('postcopy-active');
    assert.deepEqual([said, waited], [['migrate-pause'], [true, false]]);
  });

  test('the connections of a stream are shut if QEMU refuses to pause it', async () => {
    const { said, waited } = await pause('postcopy-recovering', (command) =>
      command === 'migrate-pause' ? new Refusal('migrate-pause is currently only supported') : {},
    );
    assert.deepEqual(
      [said, waited],
      [
        ['migrate-pause', 'yank'],
        [true, false],
      ],
    );
  });
});

describe('a destination that listens again', () => {
  const at = (given: Partial<ListenAt> = {}): ListenAt => ({
    host: '10.0.0.2',
    name: 'b',
    ports: { from: 49_152, to: 49_155 },
    ...given,
  });

  test('the destination takes a free port, and reports that there is none only after trying them all', async () => {
    const [from, most] = [49_152, 60];
    const ports = fc.integer({ min: 1, max: most }).chain((count) =>
      fc.record({
        count: fc.constant(count),
        free: fc.subarray(Array.from({ length: count }, (_, index) => from + index)),
      }),
    );
    await fc.assert(
      fc.asyncProperty(ports, async ({ count, free }) => {
        const tried = new Set<number>();
        const { client } = fakeMonitor((_command, args) => {
          const port = Number(String(args['uri']).replace('tcp:10.0.0.2:', ''));
          assert.ok(port >= from && port < from + count, `${port} is none of its ports`);
          assert.ok(!tried.has(port), `${port} is tried twice`);
          tried.add(port);
          return free.includes(port) ? {} : new Refusal('Failed to bind: Address already in use');
        });
        const ask = { ...at(), ports: { from, to: from + count - 1 } };
        const found = await listenForRecovery(client, ask, soon()).catch((error: unknown) => {
          assert.ok(hasCode(error, 'GODWIT_PORT_NONE'), String(error));
          return undefined;
        });
        if (found !== undefined) return assert.ok(free.includes(Number(found.split(':')[1])));
        assert.equal(tried.size, Math.min(count, 32));
        assert.ok(free.every((port) => !tried.has(port)));
      }),
    );
  });

  test("the destination listens on its socket, and on an IPv6 address, in QEMU's notation", async () => {
    const uris: unknown[] = [];
    const { client } = fakeMonitor((_command, { uri }) => void uris.push(uri));
    const one = { from: 49_152, to: 49_152 };
    const socket = at({ socket: '/g/wire.sock' });
    assert.equal(await listenForRecovery(client, socket, soon()), 'unix:/g/wire.sock');
    const six = at({ host: 'fd00::2', ports: one });
    assert.equal(await listenForRecovery(client, six, soon()), '[fd00::2]:49152');
    assert.deepEqual(uris, ['unix:/g/wire.sock', 'tcp:[fd00::2]:49152']);
  });

  test('the destination tries no other port if QEMU refuses for another reason, and reports it', async () => {
    for (const given of [{}, { socket: '/g/wire.sock' }]) {
      const { client, said } = fakeMonitor(
        () => new Refusal('Migrate recover can only be run when postcopy is paused'),
      );
      await assert.rejects(listenForRecovery(client, at(given), soon()), /can only be run/);
      assert.deepEqual(said, ['migrate-recover']);
    }
  });

  test('the destination stays silent if its monitor is silent and it has no other', async (t) => {
    const site = { guest: 'web1', guestDir: tempDir(t), host: 'b' } as unknown as LaunchSite;
    const silence = new Error('its monitor is silent');
    await assert.rejects(recoverUnheard(site, at(), silence, soon()), silence);
  });
});

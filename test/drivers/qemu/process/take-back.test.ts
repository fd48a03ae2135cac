import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { HypervisorStatus } from '../../../../src/port/direct.ts';
import type { MonitorWatch } from '../../../../src/drivers/qemu/session.ts';
import { takeBack } from '../../../../src/drivers/qemu/process/take-back.ts';
import { fakeMonitor, Refusal } from '../fake-monitor.ts';

type Status = readonly [run: HypervisorStatus['run'], stream: HypervisorStatus['stream']];

interface Setup {
  /** What it is at each look; the last for good. */
  readonly looks: readonly Status[];
  readonly stopped?: boolean;
  /** Whether QEMU takes the order to cancel. */
  readonly cancels?: boolean;
  /** Whether nothing works at the migration any more. */
  readonly abandoned?: boolean;
  /** What QEMU calls a guest that does not run. */
  readonly state?: string;
}

async function take(given: Setup) {
  const { looks, stopped = false, cancels = true, abandoned = false, state = 'paused' } = given;
  const { client, said } = fakeMonitor((command) => {
    if (command === 'migrate_cancel' && !cancels) return new Refusal('post-copy has begun');
    if (command === 'query-yank') return abandoned ? [] : [{ type: 'migration' }];
    const status = { running: false, status: state, singlestep: false };
    return command === 'query-status' ? status : undefined;
  });
  let look = 0;
  const watch: unknown = {
    stream: 'postcopy-active',
    status: async () => {
      const [run, stream] = looks[Math.min(look, looks.length - 1)] ?? [];
      look += 1;
      return { run, stream };
    },
    until: async () => undefined,
  };
  const found = await takeBack(client, watch as MonitorWatch, stopped, AbortSignal.timeout(20_000));
  return { found: [found.run, found.stream], said, looks: look };
}

describe('taking a guest back', () => {
  test('a guest that runs here, or has left, needs no order', async () => {
    for (const settled of [
      ['running', 'none'],
      ['handed-over', 'completed'],
    ] as const) {
      assert.deepEqual(await take({ looks: [settled] }), { found: settled, said: [], looks: 1 });
    }
  });

  test('a guest is waited for until it runs again with no stream under way', async () => {
    const { found, said } = await take({
      looks: [
        ['running', 'active'],
        ['running', 'device'],
        ['paused', 'cancelled'],
        ['running', 'cancelled'],
      ],
    });
    assert.deepEqual(found, ['running', 'cancelled']);
    assert.equal(said[0], 'migrate_cancel');
    assert.ok(!said.includes('migrate-pause'));
  });

  test('the stream is paused if QEMU no longer cancels it', async () => {
    const looks: Status[] = [
      ['paused', 'postcopy-active'],
      ['paused', 'postcopy-paused'],
      ['running', 'postcopy-paused'],
    ];
    const { found, said } = await take({ looks, cancels: false });
    assert.deepEqual(found, ['running', 'postcopy-paused']);
    assert.deepEqual(said.slice(0, 2), ['migrate_cancel', 'migrate-pause']);
  });

  test('a guest that Godwit stopped stays paused once the stream is over', async () => {
    const looks: Status[] = [
      ['paused', 'active'],
      ['paused', 'cancelled'],
    ];
    const { found, looks: seen } = await take({ looks, stopped: true });
    assert.deepEqual(found, ['paused', 'cancelled']);
    assert.equal(seen, 2);
  });

  test('a guest is left stopped if QEMU treats the move as final, once its work is done', async () => {
    const looks: Status[] = [
      ['paused', 'active'],
      ['paused', 'cancelled'],
    ];
    const left = { looks, stopped: true, state: 'finish-migrate' };
    assert.equal((await take({ ...left, abandoned: true })).looks, 2);
    assert.ok((await take({ ...left, abandoned: false })).looks > 10);
  });

  test('a guest that was paused by another party is waited for only briefly, even under a given-up stream', async () => {
    for (const given of [
      { stream: 'cancelled', abandoned: false },
      { stream: 'device', abandoned: true },
    ] as const) {
      const looks: Status[] = [
        ['paused', 'active'],
        ['paused', given.stream],
      ];
      const { found } = await take({ looks, abandoned: given.abandoned });
      assert.deepEqual(found, ['paused', given.stream]);
    }
  });

  test("the stream's connections are shut if a dead link blocks QEMU", async (t: TestContext) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const shut = Promise.withResolvers<void>();
    const { client, said } = fakeMonitor((command) => {
      if (command === 'yank') shut.resolve();
      // Its main loop waits in a send.
      return command === 'migrate_cancel' ? shut.promise : undefined;
    });
    const looks: HypervisorStatus[] = [
      { run: 'running', stream: 'active' },
      { run: 'running', stream: 'failed' },
    ];
    const watch: unknown = { status: async () => looks.shift() };
    const taking = takeBack(client, watch as MonitorWatch, false, t.signal);
    while (!said.includes('migrate_cancel')) await new Promise((resolve) => setImmediate(resolve));
    t.mock.timers.tick(1000);
    assert.deepEqual(await taking, { run: 'running', stream: 'failed' });
    assert.deepEqual(said, ['migrate_cancel', 'yank']);
  });
});

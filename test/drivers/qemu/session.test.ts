import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HypervisorEvent } from '../../../src/port/direct.ts';
import type { QmpClient } from '../../../src/drivers/qemu/qmp/client.ts';
import type { QmpEvent } from '../../../src/drivers/qemu/qmp/messages.ts';
import { MonitorWatch } from '../../../src/drivers/qemu/session.ts';
import { godwitError, type GodwitError } from '../../../src/errors.ts';
import { HALT_KINDS } from '../../../src/protocol/guest-halt.ts';
import { END_KINDS } from '../../../src/protocol/guest-end.ts';

const signal = new AbortController().signal;

/** A watch over a QEMU that is in a state, and says what a test has it say. */
function stage(first = 'running') {
  const qemu = { status: first, drives: [] as object[], asked: [] as string[] };
  let say: (event: QmpEvent) => void = () => undefined;
  let end: (error: GodwitError) => void = () => undefined;
  const client: unknown = {
    onEvent: (listener: typeof say) => void (say = listener),
    onClose: (listener: typeof end) => void (end = listener),
    close: () => undefined,
    query: async (command: string, _: object, schema: { parse: (value: unknown) => unknown }) => {
      qemu.asked.push(command);
      const answers: Readonly<Record<string, unknown>> = {
        'query-status': { status: qemu.status, running: qemu.status === 'running' },
        'query-migrate': { status: 'active' },
        'query-block': qemu.drives,
      };
      return schema.parse(answers[command]);
    },
  };
  const watch = new MonitorWatch(client as QmpClient, 'source');
  const events: HypervisorEvent[] = [];
  watch.on((event) => events.push(event));
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    watch,
    events,
    qemu,
    says: async (event: string, data: QmpEvent['data'] = {}) => {
      say({ event, data });
      await settle();
    },
    ends: async () => {
      const facts = { side: 'source', guest: 'web1', reason: 'its process has ended' } as const;
      end(godwitError('GODWIT_HYPERVISOR_LOST', facts));
      await settle();
    },
  };
}

describe('stops of a guest', () => {
  test('a stop by the migration has no other reason', async () => {
    const { events, qemu, says } = stage();
    qemu.status = 'finish-migrate';
    await says('STOP');
    assert.deepEqual(events, [{ type: 'stopped' }]);
  });

  test('a stop by an order, a fault or the guest itself is reported with the reason, after the stop', async () => {
    const words = ['paused', 'io-error', 'shutdown', 'guest-panicked', 'debug', 'watchdog'];
    for (const status of [...words, 'internal-error']) {
      const { events, qemu, says } = stage();
      qemu.status = status;
      await says('STOP');
      assert.equal(events.length, 2, status);
      const [, event] = events;
      assert.ok(event?.type === 'stopped' && event.halt !== undefined, status);
      assert.ok(HALT_KINDS.includes(event.halt.kind));
    }
  });

  test('a stop by an I/O error names the disk', async () => {
    const { events, qemu, says } = stage();
    qemu.status = 'io-error';
    qemu.drives = [{ qdev: '/machine/peripheral/disk0/virtio-backend', 'io-status': 'nospace' }];
    await says('STOP');
    assert.deepEqual(events.at(-1), {
      type: 'stopped',
      halt: { kind: 'io-error', what: 'disk0 (no space left)' },
    });
  });

  test('a shutdown is reported as such, even if the switch has begun meanwhile', async () => {
    const { events, qemu, says } = stage();
    await says('SHUTDOWN', { guest: true, reason: 'guest-shutdown' });
    qemu.status = 'finish-migrate';
    await says('STOP');
    assert.deepEqual(events.at(-1), { type: 'stopped', halt: { kind: 'shut-down' } });
  });

  test("a stop by Godwit's own order, before post-copy, has no owner's reason", async () => {
    const { watch, events, qemu, says } = stage();
    watch.expectStop();
    qemu.status = 'paused';
    await says('STOP');
    assert.deepEqual([events, qemu.asked], [[{ type: 'stopped' }], []]);
  });

  test('a suspend to RAM is reported, and so is the wakeup', async () => {
    const { events, says } = stage();
    await says('SUSPEND');
    await says('WAKEUP');
    assert.deepEqual(events, [
      { type: 'stopped', halt: { kind: 'suspended' } },
      { type: 'resumed' },
    ]);
  });

  test('a stopped guest is found by the next mover', async () => {
    const { watch, events } = stage('shutdown');
    await watch.begin(signal);
    watch.on((event) => events.push(event));
    assert.deepEqual(events[0], { type: 'stopped', halt: { kind: 'shut-down' } });
  });
});

test('a QEMU that announced its end is lost with that reason, and another one without', async () => {
  const reasons = ['guest-shutdown', 'guest-panic', 'host-qmp-quit', 'host-signal'];
  for (const [index, reason] of reasons.entries()) {
    const { events, says, ends } = stage();
    await says('SHUTDOWN', { guest: true, reason });
    await ends();
    const event = events.at(-1);
    assert.ok(event?.type === 'lost');
    assert.equal(event.ended, END_KINDS[index]);
  }
  const { events, ends } = stage();
  await ends();
  assert.deepEqual(events, [{ type: 'lost', reason: 'its process has ended' }]);
});

test('an event after which the guest may be another one is passed on, and no other event', async () => {
  const { watch, says } = stage();
  let changes = 0;
  const stop = watch.onChange(() => (changes += 1));
  await says('DEVICE_DELETED');
  await says('RTC_CHANGE');
  assert.equal(changes, 1);
  stop();
  await says('DEVICE_DELETED');
  assert.equal(changes, 1);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HypervisorEvent } from '../../../src/migration/direct/hypervisor.ts';
import { resume, stop } from '../../../src/drivers/qemu/resume.ts';

type Monitor = Parameters<typeof resume>[0];
type Events = Parameters<typeof resume>[1];

const never = new Promise<never>(() => {});
const lost = async (reason: string): Promise<Error> => new Error(reason);
const signal = AbortSignal.timeout(20_000);

/** A QEMU that answers `cont` so, and says of its guest what `runs` gives. */
function monitor(
  cont: Promise<unknown>,
  runs: () => boolean,
  stopped: string | (() => string) = 'paused',
): Monitor & { commands: string[] } {
  const commands: string[] = [];
  cont.catch(() => undefined);
  return {
    commands,
    execute: async (command) => {
      commands.push(command);
      return command === 'cont' ? cont : {};
    },
    query: async (command, _, schema) => {
      commands.push(command);
      const other = typeof stopped === 'string' ? stopped : stopped();
      const status = runs() ? 'running' : other;
      return schema.parse({ running: runs(), status, singlestep: false });
    },
  };
}

/** An event that comes, or none. */
function says(...events: HypervisorEvent[]): Events {
  return {
    until: async (wanted) =>
      events.find((event) => wanted(event) || event.type === 'lost') ?? never,
  };
}

describe('resuming a guest at its destination', () => {
  test('a guest runs if QEMU reports it', async () => {
    await resume(
      monitor(Promise.resolve({}), () => true),
      says(),
      lost,
      signal,
    );
  });

  test('a guest runs if its event reports it, though QEMU itself waits for a page and does not answer', async () => {
    await resume(
      monitor(never, () => true),
      says({ type: 'resumed' }),
      lost,
      signal,
    );
  });

  test('a guest runs once its last state has arrived', async () => {
    const qemu = monitor(Promise.resolve({}), () => false);
    await resume(qemu, says({ type: 'resumed' }), lost, signal);
  });

  for (const state of ['shutdown', 'io-error', 'guest-panicked', 'suspended']) {
    test(`a guest is left as it is if it arrived ${state}: its owner decides`, async () => {
      const qemu = monitor(Promise.reject(new Error('reset it first')), () => false, state);
      await resume(qemu, says(), lost, signal);
      assert.deepEqual(qemu.commands, ['query-status']);
    });
  }

  test('a guest is left as it is if it turns out to be shut down once its last state has arrived', async () => {
    let looks = 0;
    const state = (): string => (looks++ < 2 ? 'inmigrate' : 'shutdown');
    const qemu = monitor(Promise.resolve({}), () => false, state);
    await resume(qemu, says(), lost, signal);
    assert.deepEqual(qemu.commands, ['query-status', 'cont', 'query-status', 'query-status']);
  });

  test('a guest is lost if its QEMU ends before that', async () => {
    const gone = says({ type: 'lost', reason: 'killed' });
    await assert.rejects(
      resume(
        monitor(never, () => false),
        gone,
        lost,
        signal,
      ),
      /broke before/,
    );
  });

  test('a guest is lost if its stream breaks before that', async () => {
    const qemu = monitor(Promise.resolve({}), () => false);
    const broken = says({ type: 'failed', reason: 'reset' });
    await assert.rejects(resume(qemu, broken, lost, signal), /broke before the guest could run/);
  });
});

test('a copy that QEMU runs by itself a moment later is stopped again', async () => {
  let looks = 0;
  const qemu = monitor(never, () => {
    looks += 1;
    return looks === 3 || looks === 4;
  });
  await stop(qemu, signal);
  const stops = qemu.commands.filter((command) => command === 'stop').length;
  assert.equal(stops, 2);
});

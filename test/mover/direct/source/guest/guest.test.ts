import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DirectDriver, SourceSession } from '../../../../../src/port/direct.ts';
import { godwitError } from '../../../../../src/errors.ts';
import type { HypervisorEvent } from '../../../../../src/migration/direct/hypervisor.ts';
import { SourceGuest } from '../../../../../src/mover/direct/source/guest/guest.ts';
import { migrationSettings } from '../../../../../src/protocol/public/migration.ts';
import { untilSo } from '../../../../until.ts';

const HANDLE = { driver: 'fake', name: 'web1', pid: 1, startTicks: 1, monitor: '' };

/** A guest whose first inspection takes until it is broken off; `asked` counts them. */
function slowGuest(): { readonly guest: SourceGuest; asked: () => number } {
  let asked = 0;
  const session = {
    onEvent: () => undefined,
    inspect: async (_settings: unknown, signal: AbortSignal) => {
      asked += 1;
      if (asked > 1) return { checks: [] };
      signal.throwIfAborted();
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    },
  } as unknown as SourceSession;
  const driver = { openSource: () => Promise.resolve(session) } as unknown as DirectDriver;
  const guest = new SourceGuest(driver, HANDLE, migrationSettings.parse({}), () => {});
  return { guest, asked: () => asked };
}

test('an inspection that was begun early does not fail with the step that began it', async () => {
  const { guest, asked } = slowGuest();
  const early = new AbortController();
  const first = guest.inspect(early.signal);
  const second = guest.inspect(new AbortController().signal);
  early.abort();
  await assert.rejects(first, { name: 'AbortError' });
  assert.deepEqual(await second, { checks: [] });
  assert.equal(asked(), 2);
});

test('an inspection that its caller aborted is not begun again', async () => {
  const { guest, asked } = slowGuest();
  const own = new AbortController();
  const inspected = guest.inspect(own.signal);
  own.abort();
  await assert.rejects(inspected, { name: 'AbortError' });
  assert.equal(asked(), 1);
});

test("a destination is asked to admit the guest's extra needs if its driver reports any", async () => {
  const needed = async (needsMoreThere: boolean, listed: number): Promise<number> => {
    const description = { memoryBytes: 3000 };
    const session = {
      onEvent: () => undefined,
      inspect: async () => ({ checks: [], description }),
    };
    const driver = { capabilities: { needsMoreThere }, openSource: async () => session };
    const settings = migrationSettings.parse({});
    const given = driver as unknown as DirectDriver;
    const guest = new SourceGuest(given, HANDLE, settings, () => {});
    return guest.neededBytes(listed, new AbortController().signal);
  };
  assert.equal(await needed(true, 200), 3000);
  assert.equal(await needed(true, 4000), 4000);
  assert.equal(await needed(false, 200), 200);
  assert.equal(await needed(false, 0), 3000, 'its listing does not say');
});

/** A hypervisor whose first session loses its monitor; `opens` says what comes of each later try. */
function cutOff(opens: readonly ('session' | 'unreachable' | 'lost')[]) {
  const events: HypervisorEvent[] = [];
  let cut: (() => void) | undefined;
  let opened = 0;
  const facts = { side: 'source', guest: 'web1', reason: 'refused' };
  const session = {
    onEvent: (listener: (event: HypervisorEvent) => void) => listener({ type: 'active' }),
    onUnreachable: (listener: () => void) => {
      cut ??= listener;
    },
    close: async () => {},
  } as unknown as SourceSession;
  const driver = {
    openSource: async () => {
      const outcome = opened === 0 ? 'session' : opens[opened - 1];
      opened += 1;
      if (outcome === 'lost') throw godwitError('GODWIT_HYPERVISOR_LOST', facts);
      if (outcome !== 'session') throw godwitError('GODWIT_MONITOR_UNREACHABLE', facts);
      return session;
    },
  } as unknown as DirectDriver;
  const guest = new SourceGuest(driver, HANDLE, migrationSettings.parse({}), (event) => {
    events.push(event);
  });
  return { guest, events, cut: () => cut?.(), opened: () => opened };
}

async function untilOpened(times: number, opened: () => number): Promise<void> {
  await untilSo(() => opened() >= times);
  await new Promise(setImmediate);
}

test('an unreachable hypervisor is attached to again, and is not reported as lost', async () => {
  const { guest, events, cut, opened } = cutOff(['unreachable', 'session']);
  await guest.session(new AbortController().signal);
  cut();
  await untilOpened(3, opened);
  assert.deepEqual(
    events.map(({ type }) => type),
    ['active', 'active'],
  );
  await guest.close();
});

test('an unreachable hypervisor is reported as lost once that is certain', async () => {
  const { guest, events, cut, opened } = cutOff(['unreachable', 'lost']);
  await guest.session(new AbortController().signal);
  cut();
  await untilOpened(3, opened);
  assert.deepEqual(
    events.map(({ type }) => type),
    ['active', 'lost'],
  );
  await guest.close();
});

test('devices that the guest does not have are ignored only in the rollback', async () => {
  const asked: unknown[] = [];
  const session = {
    onEvent: () => undefined,
    inspect: async (_stream: unknown, _signal: unknown, ...unplug: unknown[]) => {
      asked.push(unplug);
      return { checks: [] };
    },
  } as unknown as SourceSession;
  const driver = { openSource: async () => session } as unknown as DirectDriver;
  const settings = migrationSettings.parse({ unplug: ['gpu0'] });
  for (const isWayBack of [undefined, true]) {
    const guest = new SourceGuest(driver, HANDLE, settings, () => {}, isWayBack);
    await guest.inspect(new AbortController().signal);
  }
  assert.deepEqual(asked, [
    [['gpu0'], false],
    [['gpu0'], true],
  ]);
});

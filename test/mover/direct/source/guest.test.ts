import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Driver, SourceSession } from '../../../../src/drivers/port/driver.ts';
import { SourceGuest } from '../../../../src/mover/direct/source/guest.ts';
import { migrationSettings } from '../../../../src/protocol/public/migration.ts';

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
  const driver = { openSource: () => Promise.resolve(session) } as unknown as Driver;
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

test('an inspection that is broken off for whoever asked for it is not begun again', async () => {
  const { guest, asked } = slowGuest();
  const own = new AbortController();
  const inspected = guest.inspect(own.signal);
  own.abort();
  await assert.rejects(inspected, { name: 'AbortError' });
  assert.equal(asked(), 1);
});

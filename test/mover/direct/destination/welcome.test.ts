import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';
import { parseAgentConfig } from '../../../../src/config.ts';
import type { DestinationSession } from '../../../../src/port/direct.ts';
import { silentLog } from '../../../../src/log.ts';
import type { DestinationState } from '../../../../src/migration/direct/destination/destination.ts';
import { FirstFrame } from '../../../../src/mover/direct/destination/first-frame.ts';
import { welcome } from '../../../../src/mover/direct/destination/run-guest.ts';
import { until } from '../../../until.ts';

const config = parseAgentConfig(
  'b.json',
  JSON.stringify({ name: 'b', address: '127.0.0.1:1', stateDir: '/tmp' }),
);

/** What a guest's balloon is asked for once it runs here, and whether it is announced. */
async function welcomed(balloon: 'free' | undefined, run = 'running') {
  const asked: number[] = [];
  let isAnnounced = false;
  let looks = 0;
  const session = {
    status: async () => {
      looks += 1;
      return { run };
    },
    balloon: { resize: async (bytes: number) => void asked.push(bytes) },
    announce: async () => {
      isAnnounced = true;
    },
  } as unknown as DestinationSession;
  const state = {
    admission: { guest: 'web1', settings: balloon === undefined ? undefined : { balloon } },
    preparation: { description: { memoryBytes: 4096 } },
    ports: {},
  } as unknown as DestinationState;
  const firstFrame = { isMissingOn: () => false, report: () => ({}) };
  await welcome(session, state, { config, log: silentLog, firstFrame });
  if (balloon !== undefined)
    await until('its hypervisor to be asked', 5000, async () => looks > 0 || undefined);
  assert.ok(isAnnounced);
  return asked;
}

test('a guest that was moved with --balloon regains its memory as soon as it runs here', async () => {
  assert.deepEqual(await welcomed('free'), [4096]);
  assert.deepEqual(await welcomed(undefined), []);
  assert.deepEqual(await welcomed('free', 'gone'), []);
});

/** How a guest is announced whose ports have taken so many frames after the first announcement. */
async function announced(frames: Readonly<Record<string, number>>, fails = false) {
  const calls: string[] = [];
  const counts: Record<string, number | undefined> = {};
  const session = {
    announce: async () => {
      calls.push('now');
      if (fails) throw new Error('its monitor is gone');
      Object.assign(counts, frames);
    },
    announceForLong: async () => void calls.push('for long'),
  } as unknown as DestinationSession;
  const ports = { net0: 'tap0', net1: 'tap1' };
  const state = { admission: { guest: 'web1' }, ports } as unknown as DestinationState;
  const firstFrame = new FirstFrame(systemClock, (port) => counts[port]);
  await welcome(session, state, { config, log: silentLog, firstFrame });
  return calls;
}

test('a guest is announced for longer if the first announcement did not leave each port', async () => {
  assert.deepEqual(await announced({ tap0: 1, tap1: 3 }), ['now']);
  assert.deepEqual(await announced({ tap0: 1, tap1: 0 }), ['now', 'for long']);
  assert.deepEqual(await announced({}), ['now'], 'a port that is not there');
  assert.deepEqual(await announced({ tap0: 0 }, true), ['now']);
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { DiskSample } from '../../../../../src/port/disks.ts';
import { hasCode } from '../../../../../src/errors.ts';
import { turn } from '../answers.ts';
import {
  BROKEN,
  FIGURES,
  GIB,
  MIB,
  OPENED,
  READY,
  disk,
  settings,
  signal,
  stage,
  starts,
} from '../disk-stage.ts';
import { unreachable } from '../unreachable.ts';

async function fails(copying: Promise<void>, why: RegExp): Promise<void> {
  await assert.rejects(copying, (thrown) => {
    assert.ok(hasCode(thrown, 'GODWIT_DISK_FAILED'));
    assert.match(thrown.message, why);
    return true;
  });
}

describe('the copying of disks', () => {
  test("disk copying opens its path, replacing an earlier mover's, and lasts until little is left", async (t) => {
    const course = [
      disk({ state: 'copying', copiedBytes: GIB }),
      disk({ state: 'ready', copiedBytes: GIB - 65 * MIB }),
      disk({ state: 'ready', copiedBytes: GIB - 64 * MIB }),
    ];
    let looks = 0;
    const at = (look: number): DiskSample => course[(looks = look) - 1] ?? assert.fail();
    const { disks, done, socket, tunnels } = stage(t, { settings, at });
    writeFileSync(socket, '');
    await disks.copy(signal);
    assert.deepEqual([done, looks], [OPENED, 3]);
    // As long as its writes do not wait, the guest does not mind a silent host for a while.
    assert.deepEqual([disks.isOpen, tunnels[0]?.answerMs], [true, [5000]]);
  });

  test('disk copying is resumed over the same path if stalled, and over a new one if that has ended', async (t) => {
    const at = (look: number): DiskSample => {
      if (look === 2) tunnels[0]?.abort(new Error('the session is over'));
      return look === 1 ? BROKEN : look < 4 ? disk() : READY;
    };
    const { disks, done, events, tunnels } = stage(t, { settings, at });
    await disks.copy(signal);
    assert.deepEqual(done, [...OPENED, 'start disk0', ...OPENED]);
    const links = events.filter(({ type }) => type === 'disk-link');
    const figures = { ...FIGURES, longestCutMs: 1, sessions: 1 };
    assert.deepEqual(links, [{ type: 'disk-link', figures, why: 'the session is over' }]);
  });

  test("disk copying fails at once if its job is gone, the room is used up, or the guest's disk is unreadable", async (t) => {
    const hopeless: Partial<DiskSample>[] = [
      { state: 'failed' },
      { state: 'broken', failure: { kind: 'full', reason: 'no room' } },
      { state: 'broken', failure: { kind: 'source', reason: 'cannot be read' } },
    ];
    for (const given of hopeless) {
      const { disks, done } = stage(t, { settings, at: () => disk(given) });
      await fails(disks.copy(signal), /ended|no room|cannot be read/);
      assert.deepEqual(done, OPENED);
      t.mock.reset();
    }
  });

  test('disk copying fails after eight resumes without progress', async (t) => {
    const { disks, done } = stage(t, { settings, at: () => BROKEN });
    await fails(disks.copy(signal), /nobody answers/);
    assert.equal(starts(done), 1 + 8);
  });

  test('disk copying is resumed after each break with more than 1 MiB of progress before it', async (t) => {
    const at = (look: number): DiskSample =>
      look > 40 ? READY : { ...BROKEN, copiedBytes: look * (MIB + 1) };
    const { disks, done } = stage(t, { settings, at });
    await disks.copy(signal);
    assert.equal(starts(done), 1 + 40);
    t.mock.reset();
    const slow = stage(t, { settings, at: (look) => ({ ...BROKEN, copiedBytes: look * 1000 }) });
    await fails(slow.disks.copy(signal), /nobody answers/);
  });

  test('disk copying waits for cut links until their time and one more minute are over', async (t) => {
    const at = (): DiskSample => {
      for (const { measure } of tunnels) measure.cutForMs = 1;
      return BROKEN;
    };
    const { disks, now, tunnels } = stage(t, { settings, at });
    await fails(disks.copy(signal), /nobody answers/);
    assert.equal(now(), 60_000 + 60_000 + 200);
  });

  test('disk copying survives cut after cut, though the copies make no progress between them', async (t) => {
    const at = (_look: number, nowMs: number): DiskSample => {
      for (const tunnel of tunnels) {
        tunnel.cuts = Math.floor(nowMs / 30_000);
        tunnel.measure.cutForMs = nowMs % 30_000 < 29_000 ? 1 : undefined;
      }
      return nowMs < 600_000 ? BROKEN : READY;
    };
    const { disks, now, tunnels } = stage(t, { settings, at });
    await disks.copy(signal);
    assert.ok(now() >= 600_000);
  });

  test('disk copying retries while the destination offers no path, and stops with the migration', async (t) => {
    const at = (look: number): DiskSample => {
      if (look === 1) tunnels[0]?.abort(new Error('over'));
      return look < 6 ? disk() : READY;
    };
    const offers = [undefined, unreachable, unreachable];
    const { disks, done, tunnels } = stage(t, { settings, at, offers });
    await disks.copy(signal);
    assert.deepEqual(done, [...OPENED, 'no offer', 'no offer', ...OPENED]);
    t.mock.reset();
    const stop = new AbortController();
    const ended = stage(t, { settings, at: () => disk() });
    const copying = ended.disks.copy(stop.signal);
    await turn();
    stop.abort(new Error('cancelled'));
    await assert.rejects(copying, /cancelled/);
  });

  test('disk copying does not begin if the destination offers no path', async (t) => {
    const { disks, done } = stage(t, { settings, offers: [unreachable] });
    await assert.rejects(disks.copy(signal), (thrown) => hasCode(thrown, 'GODWIT_UNREACHABLE'));
    assert.deepEqual([done, disks.isOpen], [['no offer'], false]);
  });
});

/** A guest that writes as fast as its disks are copied, for so long. */
const busyUntil =
  (ms: number) =>
  (_look: number, nowMs: number): DiskSample =>
    nowMs >= ms ? READY : disk({ copiedBytes: nowMs * 10_000, totalBytes: GIB + nowMs * 10_000 });

describe('a busy guest', () => {
  test("a busy guest's writes wait for the copies after ten seconds, and briefly for a silent host", async (t) => {
    const { disks, done, events, tunnels } = stage(t, { settings, at: busyUntil(40_000) });
    await disks.copy(signal);
    assert.equal(done.filter((each) => each === 'slow').length, 1);
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'decided' ? [event.what] : [])),
      ['slow-writes'],
    );
    assert.deepEqual(tunnels[0]?.answerMs, [5000, 1015]);
  });

  test('a busy guest stays, with GODWIT_DISK_BUSY, if its writes cannot or must not wait', async (t) => {
    const { disks, done } = stage(t, { settings, at: busyUntil(90_000), canSlow: false });
    await assert.rejects(disks.copy(signal), (thrown) => hasCode(thrown, 'GODWIT_DISK_BUSY'));
    assert.equal(done.filter((each) => each === 'slow').length, 1);
    t.mock.reset();
    const refuse = { ...settings, diskWrites: 'refuse' as const };
    const firm = stage(t, { settings: refuse, at: busyUntil(90_000) });
    await assert.rejects(firm.disks.copy(signal), (thrown) => hasCode(thrown, 'GODWIT_DISK_BUSY'));
    assert.ok(!firm.done.includes('slow'));
  });

  test('a busy guest stays if the link is too slow for its writes to wait for it', async (t) => {
    const at = (_look: number, nowMs: number): DiskSample =>
      nowMs > 90_000 ? READY : disk({ copiedBytes: nowMs * 100, totalBytes: GIB + nowMs * 100 });
    const slow = { ...settings, maxBandwidth: 500_000 };
    const { disks, done } = stage(t, { settings: slow, at });
    await assert.rejects(disks.copy(signal), (thrown) => hasCode(thrown, 'GODWIT_DISK_BUSY'));
    assert.ok(!done.includes('slow'));
  });
});

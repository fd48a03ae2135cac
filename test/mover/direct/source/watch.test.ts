import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { godwitError } from '../../../../src/errors.ts';
import type { HypervisorEvent } from '../../../../src/migration/direct/hypervisor.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import { deadlineOf } from '../../../../src/migration/direct/source/steps.ts';
import { planned, sampleOf } from '../../../migration/direct/samples.ts';
import { turn } from './answers.ts';
import { doing, scene, WELL } from './watch-scene.ts';

describe('the stream', () => {
  const active: HypervisorEvent = { type: 'active' };

  test('the stream is checked once its memory flows, and never while the guest is paused', async (t) => {
    const { watch, seen, counts, go } = scene(t, doing('memory'));
    await go(1000);
    assert.equal(counts.sampled, 0);
    watch.onHypervisor(active);
    await go(1000);
    const { sampled } = counts;
    assert.ok(sampled >= 4 && sampled <= 7, String(sampled));
    seen.state = { ...seen.state, stopped: true };
    await go(400);
    const before = counts.sampled;
    await go(2000);
    assert.equal(counts.sampled, before);
    seen.state = { ...seen.state, doing: { kind: 'do', step: 'drain' } };
    await go(1000);
    assert.ok(counts.sampled > before);
  });

  test("the stream's rounds are journaled, each once", async (t) => {
    const { watch, seen, recorded, go } = scene(t, doing('memory'));
    watch.onHypervisor(active);
    for (const round of [1, 1, 2, 3, 3]) {
      seen.sample = sampleOf({ round });
      await go(600);
    }
    const rounds = recorded.flatMap((event) =>
      event.type === 'measured' ? [event.sample.round] : [],
    );
    assert.deepEqual(rounds, [1, 2, 3]);
  });

  test("the guest's pages are sampled during the stream until the guest stops", async (t) => {
    const { state } = initialSource(planned({ mode: 'hybrid' }));
    const { watch, seen, go, looking } = scene(t, { ...state, ...doing('memory') });
    const first = { round: 1, rate: 1000, totalBytes: 10_002_000, remainingBytes: 10_000_000 };
    seen.sample = sampleOf({ ...first, totalMs: 0 });
    watch.onHypervisor(active);
    await go(1000);
    // The link is known by a second of it.
    seen.sample = sampleOf({ ...first, totalMs: 2000, transferredBytes: 2000 });
    await go(1000);
    assert.equal(looking()?.aborted, false);
    watch.onHypervisor({ type: 'stopped' });
    assert.equal(looking()?.aborted, true);
  });

  test('the stream is checked again if a check failed', async (t) => {
    const { watch, seen, counts, events, go } = scene(t, doing('memory'));
    watch.onHypervisor(active);
    seen.sample = new Error('the monitor is busy');
    await go(1000);
    assert.equal(counts.observed, 0);
    seen.sample = sampleOf();
    await go(1000);
    assert.ok(counts.observed > 0);
    assert.deepEqual(events, [{ type: 'hypervisor', event: active }]);
  });

  test('the stream is checked 30 ms after a pass, so that the last round is not missed', async (t) => {
    const { watch, counts, go } = scene(t, doing('memory'));
    watch.onHypervisor(active);
    await go(50);
    const { sampled } = counts;
    watch.onHypervisor({ type: 'pass', round: 2 });
    await go(20);
    assert.equal(counts.sampled, sampled);
    await go(20);
    assert.equal(counts.sampled, sampled + 1);
  });

  test('a post-copy stream that is stalled over a working link is to be resumed', async (t) => {
    const { events, go } = scene(t, doing('drain'));
    await go(9000);
    assert.deepEqual(events, []);
    await go(2000);
    assert.deepEqual(
      events.map(({ type }) => type),
      ['stalled'],
    );
  });

  test('a pre-copy stream that is stalled over a dead path is given up after 45 s', async (t) => {
    const { watch, seen, losses, go } = scene(t, doing('memory'));
    watch.onHypervisor(active);
    seen.answers = false;
    await go(44_000);
    assert.deepEqual(losses(), []);
    await go(2000);
    assert.equal(losses().length, 1);
  });

  test('a wire stream is not stalled because of its cap, but is once its link is cut', async (t) => {
    const { state } = initialSource(planned({ maxBandwidth: 65_536 }));
    const { watch, seen, go } = scene(t, { ...state, ...doing('memory') });
    watch.onHypervisor(active);
    seen.wire = { isOpen: true, isCut: false, hasLink: true };
    await go(10_000);
    assert.equal(seen.isStill, false);
    seen.wire = { isOpen: true, isCut: true, hasLink: false };
    await go(1000);
    assert.equal(seen.isStill, true);
  });

  test('a stream over the wire is left to the wire while a cut is shorter than its grace period', async (t) => {
    const { seen, events, go } = scene(t, doing('drain'));
    seen.wire = { isOpen: true, isCut: true, hasLink: false };
    await go(60_000);
    assert.deepEqual(events, []);
  });
});

test("the hypervisor's events are journaled, except those that only ask for a check", async (t) => {
  const { watch, events } = scene(t, doing('memory'));
  const reason = 'x';
  const all: HypervisorEvent[] = [
    { type: 'setup' },
    { type: 'active' },
    { type: 'pass', round: 2 },
    { type: 'pre-switchover' },
    { type: 'device' },
    { type: 'postcopy-active' },
    { type: 'postcopy-paused', reason },
    { type: 'completed' },
    { type: 'failed', reason },
  ];
  for (const event of all) watch.onHypervisor(event);
  // The guest is compared first: a change of it is the better reason.
  await turn();
  const silent = new Set(['setup', 'pass']);
  assert.deepEqual(
    events,
    all.filter(({ type }) => !silent.has(type)).map((event) => ({ type: 'hypervisor', event })),
  );
});

test('a stream that broke because the guest was changed is reported by the change', async (t) => {
  const { watch, events, seen } = scene(t, doing('memory'));
  seen.change = godwitError('GODWIT_GUEST_CHANGED', { guest: 'web1', what: 'x' });
  watch.onHypervisor({ type: 'failed', reason: 'Input/output error' });
  await turn();
  assert.deepEqual(
    events.map((event) => (event.type === 'failed' ? event.error.code : event.type)),
    ['GODWIT_GUEST_CHANGED', 'hypervisor'],
  );
});

describe('a stopped guest', () => {
  const limitMs = deadlineOf('switchover', initialSource(planned()).state);

  test('a guest that was stopped may stall for as long as the switch may take, and no longer', async (t) => {
    const { watch, seen, events, go } = scene(t, doing('memory'));
    watch.onHypervisor({ type: 'stopped' });
    seen.state = { ...seen.state, stopped: true };
    await go(limitMs - 100);
    assert.ok(events.every(({ type }) => type !== 'timeout'));
    await go(200);
    assert.deepEqual(events.at(-1), { type: 'timeout', afterMs: limitMs });
  });

  test('a stopped guest is ignored once it runs again, or the migration has moved to another step', async (t) => {
    const later: Partial<SourceState>[] = [
      { stopped: false },
      { stopped: true, ...doing('switchover') },
      { stopped: true, doing: { kind: 'undo', step: 'memory' } },
    ];
    for (const state of later) {
      await t.test(JSON.stringify(state.doing ?? 'resumed'), async (inner) => {
        const { watch, seen, events, counts, go } = scene(inner, doing('memory'));
        watch.onHypervisor({ type: 'stopped' });
        seen.state = { ...seen.state, ...state };
        if (state.stopped === false) watch.onHypervisor({ type: 'resumed' });
        assert.equal(counts.stops, 1);
        await go(limitMs + 1000);
        assert.ok(events.every(({ type }) => type !== 'timeout'));
      });
    }
  });
});

test('a stopped watch asks and reports nothing any more', async (t) => {
  const moments = fc.sample(fc.integer({ min: 0, max: 400 }), { numRuns: 5, seed: 17 });
  for (const moment of moments) {
    await t.test(`a watch stopped after ${moment} steps does nothing more`, async (inner) => {
      const { watch, seen, events, counts, go } = scene(inner, doing('memory'));
      watch.onHypervisor({ type: 'active' });
      watch.onHypervisor({ type: 'stopped' });
      seen.state = { ...seen.state, stopped: true };
      await go(moment * 10);
      watch.stop();
      await go(10);
      const before = { ...counts, events: events.length };
      seen.there = { ...WELL, state: 'refused' };
      await go(60_000);
      assert.deepEqual({ ...counts, events: events.length }, before);
    });
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { previewOf } from '../../../src/controller/requests/preview.ts';
import { step } from '../../../src/controller/requests/step.ts';
import { drainOf, guest, host, world } from './worlds.ts';

const NOT_LIVE = { unmovable: ['device usb0 is passed through'] };
const hosts = [host('a'), host('b')];

test('a drain moves a guest cold that cannot move live, if that was requested, and announces it', () => {
  const now = world({ hosts, guests: [guest('g1', 'a', NOT_LIVE), guest('g2', 'a')] });
  const without = previewOf(drainOf('a'), now);
  assert.match(without.stays[0]?.words ?? '', /^it cannot move live: device usb0/);
  const drain = drainOf('a', { cold: true });
  const plan = previewOf(drain, now);
  assert.deepEqual(plan.stays, []);
  const hows = plan.steps.map((each) => `${each.guest} ${each.how}`);
  assert.deepEqual(hows.toSorted(), ['g1 cold', 'g2 undefined']);
  const ids = ['m-00000011', 'm-00000012'];
  const input = { request: drain, moves: [], sights: new Map(), world: now, cancel: 'no' } as const;
  const { moves } = step({ ...input, epoch: 1, ids });
  const modes = moves.map((each) => `${each.guest} ${each.settings.mode}`);
  assert.deepEqual(modes.toSorted(), ['g1 cold', 'g2 undefined']);
});

test('a cold move waits for its window, and a guest whose downtime is bounded stays', () => {
  const now = world({
    hosts,
    guests: [guest('g1', 'a', NOT_LIVE), guest('g2', 'a', NOT_LIVE)],
    labels: {
      g1: { 'godwit/window': 'sun 03:00-03:01' },
      g2: { 'godwit/max-downtime': '500ms' },
    },
  });
  const drain = drainOf('a', { cold: true });
  const input = { request: drain, moves: [], sights: new Map(), world: now, cancel: 'no' } as const;
  const { request, moves } = step({ ...input, epoch: 1, ids: ['m-00000011'] });
  assert.deepEqual(moves, []);
  assert.deepEqual(
    request.queue.map((each) => [each.guest, each.waitsFor]),
    [['g1', 'window']],
  );
  assert.match(request.stays[0]?.words ?? '', /max-downtime allows no cold move/);
});

test('a guest whose label names devices to unplug moves live, and its host decides', () => {
  const now = world({
    hosts,
    guests: [guest('g1', 'a', NOT_LIVE)],
    labels: { g1: { 'godwit/unplug': 'usb0' } },
  });
  for (const cold of [true, false]) {
    const plan = previewOf(drainOf('a', { cold }), now);
    assert.deepEqual(plan.stays, []);
    assert.deepEqual(
      plan.steps.map((each) => each.how),
      [undefined],
    );
  }
});

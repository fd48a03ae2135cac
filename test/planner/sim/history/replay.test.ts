import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Inventory } from '../../../../src/planner/inventory.ts';
import { GIB } from '../../inventories.ts';
import { balance } from '../../../../src/planner/balance.ts';
import { consolidate } from '../../../../src/planner/consolidate.ts';

import { replay } from '../../../../src/planner/sim/history/replay.ts';
import { FILES, historyOf } from './histories.ts';

const history = historyOf(FILES);

test('a replay without a policy repeats history: five hours with a demand for 12 of 8 processors', () => {
  const was = replay(history, undefined, { sleep: false });
  assert.deepEqual([was.hours, was.moves, was.contention, was.hostHours], [6, 0, 5, 12]);
  assert.ok(Math.abs(was.unserved - (60 * 4) / (12 * 4 + 60 * 12)) < 1e-9);
  // One host idle for six hours; one at half for one, and at full for five.
  assert.ok(Math.abs((was.kwh ?? 0) - (0.6 + 0.2 + 1.5)) < 1e-9);
  assert.equal(was.byHour.length, 6);
});

test('balance ends the contention within minutes, with few moves', () => {
  const would = replay(history, (inventory) => balance(inventory), { sleep: false });
  assert.ok(would.contention <= 0.5, `${would.contention} host-hours`);
  assert.ok(would.moves >= 1 && would.moves <= 3);
  assert.ok(would.movedBytes > 0);
});

test('a moving guest is reported with its destination until its predicted arrival', () => {
  // 64 GiB take four looks over the default link.
  const large = historyOf({
    ...FILES,
    'guests.csv': FILES['guests.csv'].replaceAll(',a,4,4', ',a,4,64'),
  });
  const seen: Inventory[] = [];
  const cost = { bytes: 0, seconds: 0, downtimeMs: 0 };
  const move = { guest: 'g1', from: 'a', to: 'b', reason: 'contention', words: '', cost } as const;
  const would = replay(
    large,
    (inventory) => {
      seen.push(inventory);
      return { moves: seen.length === 1 ? [{ ...move, alternatives: [] }] : [] };
    },
    { sleep: false },
  );
  const reported = (look: number) => {
    const guest = seen[look]?.guests[0];
    return [guest?.host, guest?.moving, guest?.movingTo];
  };
  assert.deepEqual(reported(0), ['a', undefined, undefined]);
  assert.deepEqual(reported(1), ['a', true, 'b']);
  assert.deepEqual(reported(4), ['b', undefined, undefined]);
  assert.ok(Math.abs(would.movedBytes / (64 * GIB) - 1) < 0.01);
});

test('refusals of a policy are counted by intervals', () => {
  const alone = historyOf({
    ...FILES,
    'hosts.csv': FILES['hosts.csv'].split('\n').slice(0, 2).join('\n'),
    'guests.csv': FILES['guests.csv'].replaceAll(',b,', ',a,'),
  });
  const would = replay(alone, (inventory) => balance(inventory), { sleep: false });
  const [first, ...others] = would.refused;
  assert.deepEqual([first?.constraint, others], ['last-host', []]);
  assert.ok((first?.looks ?? 0) >= 50, `${first?.looks} looks`);
  assert.deepEqual(replay(alone, undefined, { sleep: false }).refused, []);
});

test('a last partial hour is averaged over its recorded intervals', () => {
  const short = replay({ ...history, ticks: 13 }, undefined, { sleep: false });
  assert.deepEqual(short.byHour.at(-1), { contention: 1, on: 2 });
  assert.ok(Math.abs(short.hostHours - (2 * 13) / 12) < 1e-9);
});

test('consolidate lets a host that has no guest sleep', () => {
  const would = replay(history, (inventory) => consolidate(inventory), { sleep: true });
  assert.ok(would.hostHours < 12);
});

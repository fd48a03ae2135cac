import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportedGuest, reportedHost } from '../../../../src/planner/sim/history/reported.ts';
import { host } from '../../inventories.ts';

const recorded = {
  name: 'one',
  host: 'a',
  cores: 2,
  memoryBytes: 1,
  load: new Float64Array(1),
  recorded: [],
};
const guest = {
  recorded,
  host: 'a',
  going: undefined,
  left: [{ host: 'b', at: 40 }],
  reported: [1],
  lie: undefined,
  movingSeconds: 0,
};

test('a moving guest is reported at its host, with its destination and its former host', () => {
  const [seen] = reportedGuest({ ...guest, going: { to: 'c', since: 90 } }, 100);
  assert.deepEqual([seen?.host, seen?.moving, seen?.movingTo], ['a', true, 'c']);
  assert.deepEqual(seen?.left, [{ host: 'b', secondsAgo: 60 }]);
  assert.deepEqual(reportedGuest({ ...guest, host: undefined }, 100), []);
});

test('a host that has failed is as silent as one that reports nothing', () => {
  const of = { host: host('a'), failed: false, silent: false, draining: false, bootedAt: 0 };
  assert.equal(reportedHost(of, true).silent, undefined);
  for (const what of [{ failed: true }, { silent: true }])
    assert.equal(reportedHost({ ...of, ...what }, true).silent, true);
});

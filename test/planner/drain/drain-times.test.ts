import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drain } from '../../../src/planner/drain/drain.ts';
import { timesOf } from '../../../src/planner/drain/drain-times.ts';
import { Fleet } from '../../../src/planner/fleet.ts';
import { GIB, guest, host } from '../inventories.ts';

const GBIT = 125e6;
const hosts = ['a', 'b', 'c'].map((name) => host(name, { linkBytesPerSecond: GBIT }));
const guests = Array.from({ length: 6 }, (_, at) =>
  guest(`g${at}`, 'a', { memoryBytes: 10 * GIB, cpu: 1 }),
);
const inventory = { hosts, guests };

test('an empty plan takes no time, and meets each deadline', () => {
  const fleet = new Fleet({ hosts, guests: [] });
  const times = timesOf(fleet, [], {
    options: { hosts: ['a'], deadlineSeconds: 1 },
    running: new Map(),
  });
  assert.equal(times.seconds, 0);
  assert.equal(times.deadline?.met, true);
});

test('a deadline that cannot be met is reported with the arithmetic', () => {
  const { deadline, late, busiest } = drain(inventory, { hosts: ['a'], deadlineSeconds: 300 });
  assert.equal(deadline?.met, false);
  assert.match(
    deadline?.words ?? '',
    /^needs \d+ min \d\d s: 60 GiB through the 1 Gbit\/s of a, out; 5 min 00 s are there$/,
  );
  assert.ok(late.length > 0 && late.length < guests.length);
  assert.deepEqual(busiest?.name, 'a, out');
});

test('the timetable has each move once, in order of start, and the range contains the middle', () => {
  const { timetable, moves, eta, seconds } = drain(inventory, { hosts: ['a'] });
  assert.deepEqual(
    timetable.map((each) => each.guest),
    moves.map((each) => each.guest),
  );
  for (const { startSeconds, endSeconds } of timetable) assert.ok(startSeconds < endSeconds);
  assert.equal(Math.max(...timetable.map(({ endSeconds }) => endSeconds)), seconds);
  assert.ok(eta.low <= eta.seconds && eta.seconds <= eta.high);
});

test('a repeated plan counts running moves, keeps its promises and drops only moves that have not begun', () => {
  const first = drain(inventory, { hosts: ['a'] });
  const [next] = first.timetable;
  assert.ok(next !== undefined);
  const running = [
    { guest: next.guest, to: next.to, elapsedSeconds: 40, leftBytes: 5 * GIB, roundSeconds: 0 },
  ];
  const again = drain(
    { hosts, guests: guests.map((each) => ({ ...each, moving: each.name === next.guest })) },
    { hosts: ['a'], running, before: first.timetable },
  );
  assert.equal(again.moves.length, guests.length - 1);
  assert.ok(again.seconds < first.seconds);
  assert.deepEqual(again.refusals, []);
  const was = new Map(first.timetable.map((each) => [each.guest, each.to]));
  for (const { guest: name, to } of again.timetable) assert.equal(to, was.get(name));
});

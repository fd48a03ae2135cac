import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lieOf, readEvents } from '../../../../src/planner/sim/history/events.ts';
import { TableError } from '../../../../src/planner/sim/history/table.ts';
import { FILES, historyOf } from './histories.ts';

const NAMES = { hosts: new Set(['a']), guests: new Set(['g1']), first: 1000 };
const HEAD = 'time,event,name\n';

test('events are sorted by time, from the first time of the load on', () => {
  const events = readEvents(`${HEAD}1600,lies-nan,g1\n1300,fail,a\n1400,restart,\n`, NAMES);
  assert.deepEqual(events, [
    { at: 300, kind: 'fail', host: 'a' },
    { at: 400, kind: 'restart' },
    { at: 600, kind: 'lies-nan', guest: 'g1' },
  ]);
  assert.ok(Number.isNaN(lieOf('lies-nan')));
  assert.equal(lieOf('tells'), undefined);
});

test('an unknown event and an unknown name are refused with their place', () => {
  const refuses = (row: string, message: RegExp): void => {
    assert.throws(
      () => readEvents(`${HEAD}${row}\n`, NAMES),
      (error) => error instanceof TableError && message.test(error.message),
    );
  };
  refuses(
    '1,burns,a',
    /^events\.csv:2: column 2 \(event\): expected one of fail, .*, got 'burns'$/,
  );
  refuses('1,fail,b', /^events\.csv:2: column 3 \(name\): expected a host of hosts\.csv, got 'b'$/);
  refuses('1,tells,a', /column 3 \(name\): expected a guest of guests\.csv, got 'a'$/);
});

test('a history has its events, links, dirty rates, groups and times of its guests', () => {
  const { hosts, guests, events } = historyOf({
    ...FILES,
    'hosts.csv': 'name,cores,memory_gib,link_gbit\na,8,64,10\nb,8,64,\n',
    'guests.csv': [
      'name,host,cores,memory_gib,dirty_mib_s,apart,starts,stops',
      'g1,a,4,4,20,db,1700000600,1700001200',
      'g2,a,4,4,,,,',
      'g3,a,4,4,,,,',
      'g4,a,4,4,,,,',
    ].join('\n'),
    'events.csv': `${HEAD}1700000900,drain,b\n`,
  });
  assert.deepEqual(
    hosts.map((each) => each.linkBytesPerSecond),
    [1.25e9, undefined],
  );
  const [one, other] = guests;
  assert.deepEqual(
    [one?.dirtyBytesPerSecond, one?.apart, one?.startsAt, one?.stopsAt],
    [20 * 1024 ** 2, 'db', 600, 1200],
  );
  assert.deepEqual(
    [other?.apart, other?.startsAt, other?.stopsAt],
    [undefined, undefined, undefined],
  );
  assert.deepEqual(events, [{ at: 900, kind: 'drain', host: 'b' }]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TableError, type Files } from '../../../../src/planner/sim/history/history.ts';
import { FILES, historyOf } from './histories.ts';

test('samples become five-minute intervals, and the last reported one continues', () => {
  const { ticks, guests, hosts } = historyOf({
    ...FILES,
    'load.csv': 'time,guest,cores\n1000,g1,1\n1900,g1,9\n1000,g2,0.5\n1000,g3,0\n1000,g4,0\n',
  });
  assert.equal(ticks, 4);
  assert.deepEqual(hosts[0]?.watts, [100, 300]);
  const load = (name: string) => [...(guests.find((each) => each.name === name)?.load ?? [])];
  // No guest uses more than it has.
  assert.deepEqual(load('g1'), [1, 1, 1, 4]);
  assert.deepEqual(load('g2'), [0.5, 0.5, 0.5, 0.5]);
});

test('only intervals with a sample count as recorded', () => {
  const { guests } = historyOf({
    ...FILES,
    'load.csv': 'time,guest,cores\n0,g1,1\n900,g1,2\n1000,g1,9\n0,g2,1\n0,g3,1\n1200,g4,1\n',
  });
  assert.deepEqual(
    guests.map(({ recorded }) => recorded),
    [[1, 2, 4], [1], [1], [1]],
  );
});

test('mismatched names, duplicates and a time in milliseconds are refused', () => {
  const wrong = (files: Partial<Files>, message: RegExp): void => {
    assert.throws(
      () => historyOf({ ...FILES, ...files }),
      (error) => error instanceof TableError && message.test(error.message),
    );
  };
  wrong(
    { 'guests.csv': 'name,host,cores,memory_gib\ng1,z,4,4\n' },
    /^guests\.csv:2: column 2 \(host\): expected a host of hosts\.csv, got 'z'$/,
  );
  wrong(
    { 'guests.csv': 'name,host,cores,memory_gib\ng1,a,4,4\ng1,a,4,4\n' },
    /^guests\.csv:3: .*g1 is there twice$/,
  );
  wrong(
    { 'hosts.csv': 'name,cores,memory_gib\na,8,64\na,8,64\n' },
    /^hosts\.csv:3: .*a is there twice$/,
  );
  // Columns are numbered as they stand in the file.
  wrong(
    { 'load.csv': 'guest,time,cores\ng9,0,1\n' },
    /^load\.csv:2: column 1 \(guest\): expected a guest of guests\.csv, got 'g9'$/,
  );
  wrong({ 'hosts.csv': 'name,cores,memory_gib\n' }, /has no host$/);
  wrong(
    { 'load.csv': 'time,guest,cores\n1,z,1\n' },
    /^load\.csv:2: column 2 \(guest\): expected a guest of guests\.csv, got 'z'$/,
  );
  wrong({ 'load.csv': 'time,guest,cores\n' }, /has no sample$/);
  wrong({ 'guests.csv': 'name,host,cores,memory_gib\n' }, /^guests\.csv: has no guest$/);
  wrong(
    { 'load.csv': 'time,guest,cores\n1,g1,9\n2,g1,9.5\n' },
    /^load\.csv:3: column 3 \(cores\): expected at most 9 of a guest with 4 cores, got '9\.5'$/,
  );
  wrong(
    { 'load.csv': 'time,guest,cores\n1,g1,1\n1,g2,1\n1,g4,1\n' },
    /^load\.csv: has no sample of g3, a guest of guests\.csv$/,
  );
  wrong(
    { 'hosts.csv': 'name,cores,memory_gib\na,8,64\nb,0,64\n' },
    /^hosts\.csv:3: column 2 \(cores\): expected a number above 0, got '0'$/,
  );
  wrong(
    { 'guests.csv': 'name,host,cores,memory_gib\ng1,a,0.0,4\n' },
    /^guests\.csv:2: column 3 \(cores\): expected a number above 0, got '0\.0'$/,
  );
  wrong(
    { 'load.csv': 'time,guest,cores\n0,g1,1\n1700000000,g1,1\n' },
    /^load\.csv: .*three years.* Is time in seconds\?$/,
  );
  wrong({ 'load.csv': 'time,guest,cores\n0,g1,1\n1700000000000,g1,1\n' }, /Is time in seconds\?$/);
});

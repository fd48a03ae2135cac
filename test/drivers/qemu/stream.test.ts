import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  capabilitiesOff,
  capabilityList,
  changedParameters,
  destinationParameters,
  ownParameters,
  sourceParameters,
  streamObstacles,
} from '../../../src/drivers/qemu/stream.ts';
import { compareVersions, release } from '../../../src/drivers/qemu/programs/version.ts';

const ALL =
  'events return-path pause-before-switchover late-block-activate postcopy-ram multifd xbzrle'.split(
    ' ',
  );
const OLD = { version: '7.2.22', capabilities: ALL, multifdCompression: ['none', 'zlib', 'zstd'] };
const PLAIN = { mode: 'precopy', streams: 1, compress: 'none' } as const;

describe("QEMU's stream features", () => {
  test('a stream has every requested feature if QEMU has the capabilities', () => {
    assert.deepEqual(streamObstacles(PLAIN, OLD), []);
    assert.deepEqual(streamObstacles({ ...PLAIN, mode: 'hybrid' }, OLD), []);
    assert.deepEqual(streamObstacles({ ...PLAIN, streams: 4, compress: 'zstd' }, OLD), []);
  });

  test('several streams exclude post-copy before 10.1', () => {
    const asked = { ...PLAIN, mode: 'postcopy', streams: 2 } as const;
    assert.match(streamObstacles(asked, OLD)[0]?.reason ?? '', /needs QEMU 10\.1/);
    assert.match(
      streamObstacles(asked, { ...OLD, version: '10.0.2' })[0]?.reason ?? '',
      /10\.0\.2/,
    );
    assert.deepEqual(streamObstacles(asked, { ...OLD, version: '10.1.0' }), []);
  });

  test('zstd is excluded in a build without it, and xbzrle on several streams', () => {
    const bare = { ...OLD, multifdCompression: ['none'] };
    assert.equal(streamObstacles({ ...PLAIN, compress: 'zstd' }, bare)[0]?.what, '--compress zstd');
    assert.equal(streamObstacles({ ...PLAIN, compress: 'xbzrle', streams: 2 }, OLD).length, 1);
  });

  test('a missing capability is named', () => {
    const few = { ...OLD, capabilities: ALL.filter((each) => each !== 'postcopy-ram') };
    const [obstacle] = streamObstacles({ ...PLAIN, mode: 'postcopy' }, few);
    assert.deepEqual(obstacle, {
      what: '--mode postcopy',
      reason: 'QEMU 7.2.22 lacks postcopy-ram',
    });
  });
});

describe('the settings of a stream', () => {
  const setup = { ...PLAIN, tls: true, maxDowntimeMs: 100.4 };

  test('every capability that Godwit ever sets is set, on or off', () => {
    const list = capabilityList({ ...PLAIN, compress: 'xbzrle' }, [...ALL, 'x-colo']);
    const on = list.filter(({ state }) => state).map(({ capability }) => capability);
    assert.deepEqual(on, ['events', 'return-path', 'xbzrle']);
    const held = capabilityList({ ...PLAIN, holdSwitchover: true }, ALL);
    assert.ok(held.some((each) => each.capability === 'pause-before-switchover' && each.state));
    const late = capabilityList({ ...PLAIN, disks: true }, ALL);
    assert.ok(late.some((each) => each.capability === 'late-block-activate' && each.state));
    assert.equal(list.length, ALL.length);
    assert.ok(capabilitiesOff(ALL).every(({ state }) => !state));
  });

  test('the settings have no dirty limit, with which QEMU has no auto-converge, whatever was set before', () => {
    for (const mayThrottle of [true, false]) {
      const list = capabilityList({ ...PLAIN, mayThrottle }, ['auto-converge', 'dirty-limit']);
      assert.deepEqual(list, [
        { capability: 'auto-converge', state: mayThrottle },
        { capability: 'dirty-limit', state: false },
      ]);
    }
  });

  test('the settings have no second connection of post-copy, whatever was set before', () => {
    for (const mode of ['precopy', 'postcopy', 'hybrid'] as const)
      for (const isSource of [true, false]) {
        const list = capabilityList({ ...PLAIN, mode }, [...ALL, 'postcopy-preempt'], isSource);
        assert.deepEqual(
          list.filter(({ capability }) => capability === 'postcopy-preempt'),
          [{ capability: 'postcopy-preempt', state: false }],
        );
      }
  });

  test('the settings name the credentials on both sides, and the peer', () => {
    assert.equal(sourceParameters(setup, 'b')['tls-hostname'], 'b');
    assert.equal(sourceParameters(setup, 'b')['downtime-limit'], 100);
    for (const maxDowntimeMs of [0.3, 1]) {
      assert.equal(sourceParameters({ ...setup, maxDowntimeMs }, 'b')['downtime-limit'], 1);
      assert.equal(changedParameters({ maxDowntimeMs })['downtime-limit'], 1);
    }
    assert.deepEqual(changedParameters({ precopyBandwidth: 65_536 }), { 'max-bandwidth': 65_536 });
    const there = destinationParameters(setup);
    assert.deepEqual(there, { 'tls-creds': 'godwit-tls', 'tls-authz': 'godwit-authz' });
    assert.equal(destinationParameters({ ...setup, tls: false })['tls-creds'], '');
  });

  test('the settings are the same on both sides for several streams', () => {
    const many = { ...setup, streams: 4, compress: 'zstd' } as const;
    const { 'multifd-channels': channels, 'multifd-compression': how } = sourceParameters(
      many,
      'b',
    );
    assert.deepEqual([channels, how], [4, 'zstd']);
    assert.equal(destinationParameters(many)['multifd-channels'], 4);
  });

  test("the source sets zstd's level as requested, or the quickest, even after another program's setting", () => {
    const level = (more: object) =>
      sourceParameters({ ...setup, streams: 4, ...more }, 'b')['multifd-zstd-level'];
    assert.equal(level({ compress: 'zstd', compressLevel: 3 }), 3);
    assert.equal(level({ compress: 'zstd' }), 1);
    assert.equal(level({ compress: 'none' }), undefined);
    assert.equal(ownParameters({ 'multifd-zstd-level': 7 })['multifd-zstd-level'], 7);
  });
});

test('versions are compared as numbers', () => {
  assert.ok(compareVersions('10.0.2', '7.2.22') > 0);
  assert.ok(compareVersions('7.2', '7.2.0') === 0);
  assert.equal(release('10.0.2'), '10.0');
});

test("a guest's throttle changes at the end of the next rounds, whatever it dirties, and only on order", () => {
  const setup = { ...PLAIN, tls: false, maxDowntimeMs: 100, mayThrottle: true };
  const started = sourceParameters(setup, undefined);
  assert.equal(started['max-cpu-throttle'], 1);
  assert.equal(started['throttle-trigger-threshold'], 100);
  for (const percent of [60, 0]) {
    const changed = changedParameters({ throttlePercent: percent });
    assert.equal(changed['max-cpu-throttle'], Math.max(1, percent));
    assert.equal(changed['throttle-trigger-threshold'], 1, 'a quiet guest too');
  }
});

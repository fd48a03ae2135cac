import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { leftovers, type Home } from '../../demo/leftovers.ts';
import type { HostCensus } from '../../lab/witness/census.ts';

const bareHost = (host: string): HostCensus => ({
  host,
  processes: ['node agent.ts'],
  taps: [],
  ports: ['7443'],
  files: ['agent.sock', 'pki', 'pki/host.key'],
});
const bare = [bareHost('a'), bareHost('b')];

const withGuest = (host: string): HostCensus => ({
  ...bareHost(host),
  processes: ['node agent.ts', 'qemu-system-x86_64'],
  taps: ['tap1'],
  files: [...bareHost(host).files, 'guests', 'guests/web1', 'guests/web1/qmp.sock'],
});

const guestOn = (host: string | undefined): Home[] => [{ name: 'web1', host }];

describe('what a migration left behind', () => {
  test('is nothing when only the guest is where it should be', () => {
    assert.deepEqual(leftovers(bare, [bareHost('a'), withGuest('b')], guestOn('b')), []);
  });

  test('an empty folder for guests is nothing', () => {
    const former = { ...bareHost('a'), files: [...bareHost('a').files, 'guests'] };
    assert.deepEqual(leftovers(bare, [former, withGuest('b')], guestOn('b')), []);
  });

  test('is a QEMU, a tap and files on the source', () => {
    const found = leftovers(bare, [withGuest('a'), withGuest('b')], guestOn('b'));
    assert.deepEqual(found, [
      'host a: QEMU: 1 (qemu-system-x86_64), expected 0',
      'host a: tap: 1 (tap1), expected 0',
      'host a: file guests/web1 was left behind',
      'host a: file guests/web1/qmp.sock was left behind',
    ]);
  });

  test('is a mover that still runs and a port that is still open', () => {
    const busy = {
      ...withGuest('b'),
      processes: [...withGuest('b').processes, 'node mover.ts'],
      ports: ['49152', '7443'],
    };
    assert.deepEqual(leftovers(bare, [bareHost('a'), busy], guestOn('b')), [
      'host b: process node mover.ts was left behind',
      'host b: listening port 49152 was left behind',
    ]);
  });

  test('is neither what an agent remembers nor a mover that it had started to warm up', () => {
    const warming = { ...bareHost('a'), processes: ['node agent.ts', 'node mover.ts'] };
    const remembers = {
      ...bareHost('a'),
      files: [...bareHost('a').files, 'cache', 'cache/x.json', 'orders', 'closed.json'],
    };
    assert.deepEqual(leftovers([warming], [remembers], guestOn('b')), []);
    assert.deepEqual(leftovers([remembers], [bareHost('a')], []), []);
  });

  test('reports an agent that is gone', () => {
    const dead = { ...bareHost('a'), processes: [], ports: [] };
    assert.deepEqual(leftovers(bare, [dead, withGuest('b')], guestOn('b')), [
      'host a: process node agent.ts is gone',
      'host a: listening port 7443 is gone',
    ]);
  });

  test('counts the guest as missing where it should be', () => {
    const found = leftovers(bare, [bareHost('a'), bareHost('b')], guestOn('b'));
    assert.deepEqual(found, ['host b: QEMU: 0, expected 1', 'host b: tap: 0, expected 1']);
  });

  test('is nothing where a host has several guests, each with what is its own', () => {
    const two = {
      ...withGuest('b'),
      processes: ['node agent.ts', 'qemu-system-x86_64', 'qemu-system-x86_64'],
      taps: ['tap1', 'tap2'],
      files: [...withGuest('b').files, 'guests/db1', 'guests/db1/qmp.sock'],
    };
    const homes = [...guestOn('b'), { name: 'db1', host: 'b' }];
    assert.deepEqual(leftovers(bare, [bareHost('a'), two], homes), []);
    assert.deepEqual(leftovers(bare, [bareHost('a'), two], guestOn('b')), [
      'host b: QEMU: 2 (qemu-system-x86_64, qemu-system-x86_64), expected 1',
      'host b: tap: 2 (tap1, tap2), expected 1',
      'host b: file guests/db1 was left behind',
      'host b: file guests/db1/qmp.sock was left behind',
    ]);
  });

  test('tells two of the same name from one', () => {
    const twice = { ...bareHost('a'), processes: ['node agent.ts', 'node agent.ts'] };
    assert.deepEqual(leftovers(bare, [twice, bareHost('b')], guestOn(undefined)), [
      'host a: process node agent.ts was left behind',
    ]);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  judgeBalancer,
  judgeGuests,
  judgeHosts,
  judgeVmotion,
} from '../../../../src/drivers/vsphere/judge/judge-inventory.ts';
import {
  judgeCertificate,
  judgeClock,
  judgeRights,
} from '../../../../src/drivers/vsphere/judge/judge.ts';
import { MAKES_ATTRIBUTE, RIGHTS } from '../../../../src/drivers/vsphere/rights.ts';

const ALL = new Set(RIGHTS.map(({ id }) => id));
const without = (id: string) => new Set([...ALL].filter((each) => each !== id));
const DAY_MS = 86_400_000;

describe('doctor on a vCenter', () => {
  for (const { id, why, onRoot, isOptional } of RIGHTS) {
    test(`the missing permission ${id} is named, with its place and its purpose`, () => {
      const granted = [
        { name: 'the root folder', isRoot: true, ids: onRoot === true ? without(id) : ALL },
        { name: 'datacenter DC0', isRoot: false, ids: ALL },
        { name: 'datacenter DC1', isRoot: false, ids: onRoot === true ? ALL : without(id) },
      ];
      const found = judgeRights(granted, 'godwit', false);
      const bad = found.filter(({ verdict }) => verdict !== 'ok');
      assert.equal(bad.length, 1);
      assert.equal(bad[0]?.verdict, isOptional === true ? 'warn' : 'fail');
      const place = onRoot === true ? 'the root folder' : 'datacenter DC1';
      assert.equal(bad[0]?.found, `${id} lacks on ${place}: ${why}`);
      assert.match(bad[0]?.hint ?? '', new RegExp(`Add ${id} to the role of godwit on ${place}`));
    });
  }

  test('the permission to create the attribute is not needed once it exists', () => {
    const granted = [
      { name: 'the root folder', isRoot: true, ids: without(MAKES_ATTRIBUTE) },
      { name: 'datacenter DC0', isRoot: false, ids: ALL },
    ];
    const found = judgeRights(granted, 'godwit', true);
    assert.deepEqual(new Set(found.map(({ verdict }) => verdict)), new Set(['ok']));
  });

  test('a user who sees no datacenter has no permission', () => {
    const granted = [{ name: 'the root folder', isRoot: true, ids: ALL }];
    assert.match(judgeRights(granted, 'godwit', true)[0]?.found ?? '', /sees no datacenter/);
  });

  test('a clock that is off by more than a minute is reported, and so is an unreadable one', () => {
    assert.equal(judgeClock(1_060_000, 1_000_000).verdict, 'ok');
    const behind = judgeClock(1_000_000, 1_061_000);
    assert.deepEqual(
      [behind.verdict, behind.found],
      ['warn', 'the vCenter’s is 61 s behind this host’s'],
    );
    assert.equal(judgeClock(Number.NaN, 0).verdict, 'warn');
  });

  test('a cluster that moves guests or sets power by itself is named, and one that only advises is not', () => {
    const cluster = (name: string, moves: boolean, setsPower: boolean) => {
      return { name, moves, setsPower };
    };
    const one = cluster('one', true, false);
    const advises = cluster('two', false, false);
    const both = 'Godwit’s policies leave them alone';
    assert.equal(judgeBalancer([one, advises]).found, `DRS moves guests by itself in one; ${both}`);
    assert.equal(
      judgeBalancer([one, advises, cluster('three', true, true)]).found,
      `DRS moves guests by itself in one, three; DPM puts hosts to sleep and wakes them by itself in three; ${both}`,
    );
    assert.match(judgeBalancer([advises]).found, /^no cluster moves guests by itself/);
  });

  test('a certificate that ends soon is reported, pinned or not', () => {
    const shown = (days: number) => ({ fingerprint: 'ab', validToMs: days * DAY_MS });
    assert.equal(judgeCertificate({ fingerprint: 'ab' }, shown(31), 0).verdict, 'ok');
    const soon = judgeCertificate({ fingerprint: 'ab' }, shown(3), 0);
    assert.equal(soon.found, 'pinned: ab, 3 days left');
    assert.match(soon.hint ?? '', /drivers\.vsphere\.fingerprint/);
    assert.match(judgeCertificate({}, shown(-2), 0).found, /expired 2 days ago/);
  });

  test('disconnected hosts, hosts with the same name, and hosts without vMotion are named, the first few', () => {
    const host = (index: number, change: object = {}) => {
      const facts = { name: `h${index}`, isNamed: true, connection: 'connected', hasVmotion: true };
      return { ...facts, ...change };
    };
    assert.equal(judgeHosts([host(1)]).verdict, 'ok');
    assert.equal(judgeHosts([]).verdict, 'fail');
    assert.match(
      judgeHosts([host(1), host(2, { isNamed: false })]).hint ?? '',
      /drivers\.vsphere\.hosts/,
    );
    assert.match(judgeHosts([host(1, { connection: 'disconnected' })]).found, /not connected: h1/);
    const some = judgeVmotion([host(1), host(2, { hasVmotion: false })]);
    assert.deepEqual([some.verdict, some.found], ['warn', 'no VMkernel interface for it: h2']);
    const none = Array.from({ length: 10 }, (_, index) => host(index, { hasVmotion: false }));
    assert.equal(judgeVmotion(none).verdict, 'fail');
    assert.match(judgeVmotion(none).found, /h7 and 2 more$/);
  });

  test('guests that could not be moved because of their names are reported', () => {
    const guest = (name: string, isNamesake = false) => ({
      id: name,
      name,
      host: 'h',
      state: 'running' as const,
      instance: 'i',
      uuid: undefined,
      memoryBytes: 1,
      vcpus: 1,
      isNamesake,
    });
    assert.equal(judgeGuests([guest('web')]).found, '1 read, 1 running');
    const found = judgeGuests([guest('web', true), guest('web', true), guest('my guest')]);
    assert.equal(found.verdict, 'warn');
    assert.match(found.found, /has its name: web; not listed, for its name: my guest/);
  });
});

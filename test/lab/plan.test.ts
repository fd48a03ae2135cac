import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../src/errors.ts';
import { networkSteps } from '../../lab/network-plan.ts';
import {
  checkGuestName,
  checkPaths,
  guestAddress,
  guestUuid,
  hostAddress,
  hostNames,
  isNamespaceOf,
  macAddress,
  MAX_GUESTS,
  MAX_HOSTS,
  MAX_PATHS,
  namespacesOf,
  tapName,
} from '../../lab/plan.ts';
import { checkLabName, labsDirectory } from '../../src/cli/connection/labs.ts';

test('hosts are named a, b, c and have an address each', () => {
  assert.deepEqual(hostNames(3), ['a', 'b', 'c']);
  assert.deepEqual(
    hostNames(3).map((host) => hostAddress(host)),
    ['10.77.0.11', '10.77.0.12', '10.77.0.13'],
  );
  for (const count of [0, -1, 1.5, MAX_HOSTS + 1]) {
    assert.throws(
      () => hostNames(count),
      (error) => hasCode(error, 'GODWIT_USAGE'),
    );
  }
});

test('every address and interface name of the largest lab is valid', () => {
  for (let index = 1; index <= MAX_GUESTS; index += 1) {
    const last = Number(guestAddress(index).split('.')[3]);
    assert.ok(last > 20 && last < 255);
    assert.ok(tapName(index).length <= 15);
  }
});

test('a namespace belongs to one lab only, whatever the names of the labs', () => {
  const name = fc
    .stringMatching(/^[a-z][a-z0-9]{0,7}(-[a-z0-9]{1,6}){0,2}$/)
    .filter((text) => checkLabName(text) === text);
  fc.assert(
    fc.property(name, name, (one, other) => {
      const own = namespacesOf({ name: one, hosts: hostNames(MAX_HOSTS) });
      assert.ok(own.every((namespace) => isNamespaceOf(one, namespace)));
      if (one !== other) assert.ok(!own.some((namespace) => isNamespaceOf(other, namespace)));
    }),
  );
});

test('names that could not be a directory or an interface are refused', () => {
  for (const name of ['', 'Lab', '../x', 'a b', 'averylongname', '-x', 'x-']) {
    assert.throws(
      () => checkLabName(name),
      (error) => hasCode(error, 'GODWIT_USAGE'),
    );
  }
  for (const name of ['', '.hidden', 'a/b', 'x'.repeat(32)]) {
    assert.throws(
      () => checkGuestName(name),
      (error) => hasCode(error, 'GODWIT_USAGE'),
    );
  }
});

test('a guest keeps its MAC and UUID, and another has others', () => {
  assert.equal(macAddress('lab/web1'), macAddress('lab/web1'));
  assert.match(macAddress('lab/web1'), /^52:54:00(:[0-9a-f]{2}){3}$/);
  assert.notEqual(macAddress('lab/web1'), macAddress('lab/web2'));
  assert.match(
    guestUuid('lab', 'web1'),
    /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assert.notEqual(guestUuid('lab', 'web1'), guestUuid('lab', 'web2'));
});

test('a capped link is shaped at both ends, in both directions', () => {
  const plan = { name: 'lab', hosts: ['a', 'b'], linkBytesPerSecond: 125e6, delayMs: undefined };
  const shaping = networkSteps(plan).filter(({ tool }) => tool === 'tc');
  const lines = shaping.flatMap(({ namespace, lines: each }) =>
    each.map((line) => `${namespace}: ${line.split(' root ')[0]}`),
  );
  assert.deepEqual(lines, [
    'gw-lab-switch: qdisc add dev mig-a',
    'gw-lab-switch: qdisc add dev mig-b',
    'gw-lab-a: qdisc add dev mig0',
    'gw-lab-b: qdisc add dev mig0',
  ]);
  assert.match(shaping[0]?.lines[0] ?? '', /tbf rate 1000000000bit burst 500000 latency 50ms/);
});

test('the migration ports of a delayed link are joined by the relay, not by a bridge', () => {
  const plan = { name: 'lab', hosts: ['a', 'b'], linkBytesPerSecond: undefined, delayMs: 20 };
  const lines = networkSteps(plan).flatMap((step) => step.lines);
  assert.ok(!lines.some((line) => line.includes('master mig ')));
  assert.ok(lines.includes('link set mtap-a master mbr-a up'));
});

test('the queue of a link with a delay has room for several streams of its large frames', () => {
  for (const [linkBytesPerSecond, mtu] of [
    [125e6, 60_000],
    [12.5e6, 15_000],
    [1e6, 1500],
  ] as const) {
    const plan = { name: 'lab', hosts: ['a', 'b'], linkBytesPerSecond, delayMs: 10 };
    const said = networkSteps(plan)
      .flatMap((step) => step.lines)
      .join('\n');
    const [, frame] = /link set mtap-a mtu (\d+)/.exec(said) ?? [];
    const [, bits, burst, waitMs] = /rate (\d+)bit burst (\d+) latency (\d+)ms/.exec(said) ?? [];
    assert.equal(Number(frame), mtu);
    const room = (Number(bits) / 8) * (Number(waitMs) / 1000) + Number(burst);
    assert.ok(room / Number(frame) >= 32, `${room / Number(frame)} frames`);
  }
});

test('each path is a separate network, with an address of each host', () => {
  const plan = {
    name: 'lab',
    hosts: ['a', 'b'],
    linkBytesPerSecond: 125e6,
    delayMs: undefined,
    paths: 2,
  };
  const steps = networkSteps(plan);
  const lines = steps.flatMap((step) => step.lines);
  for (const line of [
    'addr add 10.77.0.12/24 dev mig0',
    'addr add 10.77.1.12/24 dev mig1',
    'link set mig-b master mig up',
    'link set mig1-b master mig1 up',
  ]) {
    assert.ok(lines.includes(line), line);
  }
  assert.equal(steps.filter(({ tool }) => tool === 'tc').flatMap((step) => step.lines).length, 8);
});

for (const storage of ['nfs', 'iscsi', 'rbd'] as const) {
  test(`a lab with a server of ${storage} has a namespace and a link of each host for it, and others have not`, () => {
    const plan = { name: 'lab', hosts: ['a', 'b'], linkBytesPerSecond: undefined, delayMs: 20 };
    const served = { ...plan, storage };
    const lines = networkSteps(served).map(
      ({ namespace, lines: each }) => `${namespace}: ${each.join('; ')}`,
    );
    for (const [member, address] of [
      ['a', '10.76.0.11'],
      ['b', '10.76.0.12'],
      [storage, '10.76.0.2'],
    ] as const) {
      const found = lines.find((line) => line.includes(`addr add ${address}/24 dev sto0`));
      assert.ok(found?.startsWith(`gw-lab-${member}: `));
      assert.ok(lines.some((line) => line.includes(`link set sto-${member} master sto up`)));
    }
    assert.deepEqual(namespacesOf(served).slice(namespacesOf(plan).length), [`gw-lab-${storage}`]);
    assert.ok(isNamespaceOf('lab', `gw-lab-${storage}`));
    assert.doesNotMatch(JSON.stringify(networkSteps(plan)), /sto0/);
  });
}

test('a lab has up to the highest number of paths, and only one with a delay', () => {
  assert.equal(checkPaths(MAX_PATHS, undefined), MAX_PATHS);
  assert.equal(checkPaths(1, 20), 1);
  for (const [paths, delay] of [
    [0, undefined],
    [1.5, undefined],
    [MAX_PATHS + 1, undefined],
    [2, 20],
  ] as const) {
    assert.throws(
      () => checkPaths(paths, delay),
      (error) => hasCode(error, 'GODWIT_USAGE'),
    );
  }
});

test('labs are in a short directory that the user owns', () => {
  assert.equal(labsDirectory({}, 0), '/run/godwit-lab');
  assert.equal(labsDirectory({ XDG_RUNTIME_DIR: '/run/user/7' }, 7), '/run/user/7/godwit-lab');
  assert.match(labsDirectory({}, 7), /\/godwit-7\/godwit-lab$/);
  assert.equal(labsDirectory({ GODWIT_LAB_DIR: '/x/y' }, 0), '/x/y');
});

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import {
  factsIn,
  listLosses,
  podmanObstacles,
  type PodmanFacts,
} from '../../../../src/drivers/criu/podman/facts.ts';

/** As podman 5.8.6 printed it. */
const TEXT = await readFile(new URL('inspect.json', import.meta.url), 'utf8');
const FACTS = factsIn(TEXT);

const changed = (part: object, config: object = {}, host: object = {}): PodmanFacts => ({
  ...FACTS,
  ...part,
  Config: { ...FACTS.Config, ...config },
  HostConfig: { ...FACTS.HostConfig, ...host },
});
const names = (facts: PodmanFacts): string[] => podmanObstacles(facts).map(({ device }) => device);

test('a plain container of podman has nothing that ties it to its host', () => {
  assert.deepEqual(podmanObstacles(FACTS), []);
  assert.equal(FACTS.Name, 'wrunc');
});

test('each part that does not move is refused by name, with a remedy', () => {
  const one = [{}];
  const cases: readonly (readonly [PodmanFacts, string])[] = [
    [changed({ Pod: 'p1' }), 'its pod'],
    [changed({ IsInfra: true }), 'its pod'],
    [changed({ Dependencies: ['c1'] }), 'its dependencies'],
    [changed({}, { Healthcheck: { Test: ['true'] } }), 'its health check'],
    [changed({ ExecIDs: ['e1'] }), 'its exec sessions'],
    [
      changed({ NetworkSettings: { Networks: {}, Ports: { '80/tcp': null } } }),
      'its published ports',
    ],
    [changed({}, {}, { Devices: one }), 'its devices'],
    [changed({}, { Secrets: one }), 'its secrets'],
    [changed({}, { Tty: true }), 'its terminal'],
    [changed({}, { OpenStdin: true }), 'its terminal'],
    [changed({}, {}, { Init: true }), 'its first process'],
    [changed({}, { Labels: { PODMAN_SYSTEMD_UNIT: 'web.service' } }), 'its unit'],
    [changed({ Rootfs: '/srv/root' }), 'its root file system'],
    [changed({}, {}, { IpcMode: 'host' }), 'its namespaces'],
    [changed({}, {}, { NetworkMode: 'host' }), 'its namespaces'],
    [changed({}, {}, { UsernsMode: 'auto' }), 'its namespaces'],
    [changed({}, {}, { Cgroups: 'disabled' }), 'its cgroup'],
    [changed({ OCIRuntime: '/usr/bin/crun' }), 'its runtime'],
    [changed({ Mounts: [{ Type: 'volume', Name: 'db', Destination: '/data' }] }), '/data'],
  ];
  for (const [facts, name] of cases) {
    assert.deepEqual(names(facts), [name]);
    for (const { reason, hint } of podmanObstacles(facts)) assert.ok(reason !== '' && hint !== '');
  }
});

test('the losses of a move are reported, and nothing else', () => {
  assert.equal(listLosses(FACTS).length, 2);
  const lost = listLosses(
    changed({ RestartCount: 3 }, {}, { LogConfig: { Type: 'journald' } }),
  ).join();
  assert.match(lost, /creation time/);
  assert.match(lost, /restart count \(3\)/);
  assert.match(lost, /journal/);
});

test('an answer that is not of one container is refused', () => {
  const [one] = JSON.parse(TEXT) as [object];
  for (const text of [
    '[]',
    JSON.stringify([one, one]),
    '{}',
    JSON.stringify([{ ...one, Id: 'x' }]),
  ])
    assert.throws(() => factsIn(text));
});

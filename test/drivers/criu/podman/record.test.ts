import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNotRecord } from '../../../../src/drivers/criu/podman/record.ts';

const ID = '9e88348ee1ea227d3114bf184d3a16c6394cc218d42657af8f1070b2370cd078';
const EXPECTED = { id: ID, name: 'web', graph: '/var/lib/c', run: '/run/c' };
const CONFIG = JSON.stringify({ id: ID, name: 'web', more: 1 });
const NAMESPACES = [
  { type: 'pid' },
  { type: 'network', path: '/run/netns/n' },
  { type: 'ipc' },
  { type: 'uts' },
  { type: 'mount' },
];
const MOUNTS = [
  { destination: '/proc', type: 'proc', source: 'proc' },
  {
    destination: '/etc/hosts',
    type: 'bind',
    source: `/run/c/overlay-containers/${ID}/userdata/hosts`,
  },
  {
    destination: '/dev/shm',
    type: 'bind',
    source: `/var/lib/c/overlay-containers/${ID}/userdata/shm`,
  },
];
const dump = (part: object = {}, linux: object = {}): string =>
  JSON.stringify({ mounts: MOUNTS, linux: { namespaces: NAMESPACES, ...linux }, ...part });
const why = (text: string, config = CONFIG): string | undefined =>
  whyNotRecord(config, text, EXPECTED);

test('the record of the assessed container is taken', () => {
  assert.equal(why(dump()), undefined);
  assert.equal(why(dump({ hooks: {} }, { devices: [] })), undefined);
});

test('a record of another container is refused', () => {
  for (const config of [
    '',
    '{}',
    CONFIG.replace('web', 'db'),
    CONFIG.replace(ID, ID.replace('9', '8')),
  ])
    assert.match(why(dump(), config) ?? '', /another container/);
});

test('a record that reaches this host is refused', () => {
  const mounted = (more: object) => dump({ mounts: [...MOUNTS, { destination: '/x', ...more }] });
  const userdata = `/run/c/overlay-containers/${ID}/userdata`;
  for (const more of [
    { type: 'bind', source: '/' },
    { type: 'bind', source: `${userdata}/../../../secret` },
    { type: 'bind', source: `/run/c/overlay-containers/${ID.replace('9', '8')}/userdata/hosts` },
    { type: 'tmpfs', source: '/etc', options: ['rbind'] },
    { type: 'ext4', source: '/dev/vda' },
    { source: '/' },
  ])
    assert.match(why(mounted(more)) ?? '', /it mounts .* at \/x/, JSON.stringify(more));
  assert.match(why(dump({ hooks: { prestart: [{ path: '/bin/sh' }] } })) ?? '', /hooks/);
  assert.match(why(dump({}, { devices: [{ path: '/dev/vda' }] })) ?? '', /devices/);
  assert.match(why(dump({}, { namespaces: NAMESPACES.slice(1) })) ?? '', /no pid namespace/);
  const shared = [{ type: 'pid', path: '/proc/1/ns/pid' }, ...NAMESPACES.slice(1)];
  assert.match(why(dump({}, { namespaces: shared })) ?? '', /shares the pid namespace/);
  for (const text of ['', '{', 'null', '[]']) assert.notEqual(why(text), undefined);
});

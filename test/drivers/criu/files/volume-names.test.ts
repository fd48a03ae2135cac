import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { placesOf } from '../../../../src/drivers/criu/files/made-volumes.ts';
import { readConfig } from '../../../../src/drivers/criu/read-config.ts';
import { configOf, containerSpec } from '../../../../src/drivers/criu/spec.ts';
import {
  overlaps,
  placeFor,
  placeIn,
  readOptions,
  volume,
} from '../../../../src/drivers/criu/files/volume-names.ts';
import { mountsPart, placeOf } from '../../../../src/drivers/criu/files/volumes.ts';
import { containerConfig } from '../../../../lab/container/config.ts';

const PLACE = { hostname: 'box', netns: '/run/netns/x', cgroup: '/x/box' };
const LOAD = { staticBytes: 1, dirtyBytes: 1, dirtyBytesPerSecond: 0 };
const DIRS = ['/vols', '/more/vols'];

interface Bind {
  readonly source: string;
  readonly destination: string;
  readonly options?: readonly string[];
}
const read = (binds: readonly Bind[]) =>
  readConfig(JSON.stringify(containerConfig(PLACE, LOAD, binds)), DIRS);

test("a volume is mounted in the same order and with the same options, below the destination's directory", () => {
  const { oci, binds, obstacles } = read([
    { source: '/vols/db/data', destination: '/data', options: ['nosuid', 'nodev'] },
    { source: '/more/vols/hosts', destination: '/etc/hosts', options: ['ro'] },
  ]);
  assert.deepEqual(obstacles, []);
  assert.ok(oci);
  assert.deepEqual(
    binds.map(({ dir, name }) => [dir, name]),
    [
      ['/vols', 'db/data'],
      ['/more/vols', 'hosts'],
    ],
  );
  const places = placesOf(
    binds.map(({ dir, name }) => ({ dir, name, kind: 'directory', bytes: 0 })),
    ['/other', '/more/vols'],
  );
  assert.deepEqual(
    places?.map((each) => each.path),
    ['/other/db/data', '/more/vols/hosts'],
  );
  const made = configOf(
    oci,
    '/n',
    '/c',
    places?.map((each) => each.path),
  ) as {
    mounts: { destination: string }[];
  };
  assert.deepEqual(made.mounts.slice(-2), [
    {
      destination: '/data',
      type: 'bind',
      source: '/other/db/data',
      options: ['bind', 'rprivate', 'nosuid', 'nodev'],
    },
    {
      destination: '/etc/hosts',
      type: 'bind',
      source: '/more/vols/hosts',
      options: ['bind', 'rprivate', 'ro'],
    },
  ]);
});

test('a bind mount that is not a separate volume is refused by its place in the container, with a way out', () => {
  const refused = (binds: readonly Bind[]): string[] =>
    read(binds).obstacles.map(({ device, hint }) => {
      assert.notEqual(hint, '');
      return device;
    });
  const data = { source: '/vols/data', destination: '/data' };
  assert.deepEqual(refused([data]), []);
  for (const source of ['/run/docker.sock', '/vols', '/vols/', '/volsx/a', '/vols/../etc', '/'])
    assert.deepEqual(refused([{ ...data, source }]), ['/data'], source);
  for (const option of ['shared', 'rshared', 'rslave', 'idmap', 'size=1m'])
    assert.deepEqual(refused([{ ...data, options: [option] }]), ['/data'], option);
  const within = { source: '/vols/data/deep', destination: '/deep' };
  assert.deepEqual(refused([data, within]), ['/deep']);
  assert.deepEqual(refused([within, data]), ['/data']);
  assert.deepEqual(refused([data, { ...data, destination: '/again' }]), ['/again']);
});

test('the second of two volumes with one name in two directories is refused: the destination may have one directory', () => {
  const { oci, obstacles } = read([
    { source: '/vols/db', destination: '/data' },
    { source: '/more/vols/db', destination: '/log' },
  ]);
  assert.deepEqual(
    obstacles.map(({ device, reason }) => [device, reason]),
    [['/log', '/data has a volume of that name too, below /vols']],
  );
  assert.equal(oci?.mounts.filter((each) => 'volume' in each).length, 1);
});

test('an idmapped mount is refused by its place in the container, even if it is not a bind mount', () => {
  const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  const data = { source: '/vols/data', destination: '/data' };
  const config = (change: object): string => {
    const whole = containerConfig(PLACE, LOAD, [data]) as { mounts: { destination: string }[] };
    const mounts = whole.mounts.map((each) => ({ ...each, ...change }));
    return JSON.stringify({ ...whole, mounts });
  };
  const refused = (change: object): string[] =>
    readConfig(config(change), DIRS).obstacles.map(({ device, type }) => `${device} ${type}`);
  for (const change of [{ uidMappings: map }, { gidMappings: map }, { options: ['ridmap'] }])
    assert.deepEqual(
      refused(change),
      ['/proc', '/dev', '/sys', '/data'].map((each) => `${each} idmapped mount`),
    );
  assert.deepEqual(refused({}), []);
});

test("a volume's place is below a volume directory of this host, whatever the source calls it", () => {
  const part = fc.oneof(fc.constantFrom('..', '.', '', 'a', 'etc', '\0', 'a b'), fc.string());
  const name = fc.oneof(
    fc.string(),
    fc.array(part, { maxLength: 10 }).map((parts) => parts.join('/')),
  );
  fc.assert(
    fc.property(name, fc.constantFrom('/vols', '/', '/etc', ''), (given, dir) => {
      const parsed = volume.safeParse({ dir, name: given, kind: 'file', bytes: 1 });
      if (!parsed.success) return;
      const place = placeFor(parsed.data, DIRS);
      assert.ok(place);
      assert.ok(DIRS.includes(place.dir));
      assert.equal(path.relative(place.dir, place.file), given);
      assert.ok(!given.split('/').includes('..'));
      assert.deepEqual(placeIn(place.file, DIRS), { dir: place.dir, name: given });
    }),
    { numRuns: 500 },
  );
});

test('a description whose volumes are nested, lead elsewhere or differ from its mounts is refused', () => {
  const { oci } = read([{ source: '/vols/a', destination: '/a' }]);
  assert.ok(oci);
  const rest = { nics: [], layers: [], criu: '4.2.1', runc: '1.3.6', features: [] };
  const one = { dir: '/vols', name: 'a', kind: 'directory', bytes: 1 };
  const spec = { ...rest, oci, volumes: [one] };
  assert.ok(containerSpec.safeParse(spec).success);
  const mountsOf = (...volumes: number[]) => ({
    ...oci,
    mounts: volumes.map((each) => ({ destination: `/${each}`, volume: each })),
  });
  for (const bad of [
    { ...spec, volumes: undefined },
    { ...spec, volumes: [] },
    { ...spec, oci: mountsOf(0, 0) },
    { ...spec, oci: mountsOf(1) },
    { ...spec, oci: mountsOf() },
    { ...spec, oci: mountsOf(0, 1), volumes: [one, { ...one, name: 'a/b' }] },
    { ...spec, oci: mountsOf(0, 1), volumes: [one, one] },
    { ...spec, volumes: [{ ...one, name: '../a' }] },
    { ...spec, volumes: [{ ...one, name: '/etc' }] },
    { ...spec, volumes: [{ ...one, kind: 'socket' }] },
    { ...spec, volumes: [{ ...one, path: '/etc' }] },
    { ...spec, oci: { ...oci, mounts: [{ destination: '/a', volume: 0, source: '/etc' }] } },
    { ...spec, oci: { ...oci, mounts: [{ destination: '/a', volume: 0, options: ['shared'] }] } },
  ]) {
    assert.ok(!containerSpec.safeParse(bad).success, JSON.stringify(bad).slice(-300));
  }
  const both = { ...spec, oci: mountsOf(0, 1), volumes: [one, { ...one, name: 'ab' }] };
  assert.ok(containerSpec.safeParse(both).success);
  assert.ok(overlaps('a', 'a/b') && overlaps('a/b', 'a') && !overlaps('a', 'ab'));
});

test('another user of a volume, a part of it, or more of its directory is found', () => {
  const line = (device: string, inside: string, point: string): string =>
    `36 35 ${device} ${inside} ${point} rw - ext4 /dev/x rw`;
  const own = [line('8:1', '/', '/'), line('8:2', '/', '/vols')].join('\n');
  assert.deepEqual(placeOf(own, '/vols/a'), { device: '8:2', inside: '/a' });
  assert.deepEqual(placeOf(own, '/volsx'), { device: '8:1', inside: '/volsx' });
  const [data, dir] = [placeOf(own, '/vols/a'), placeOf(own, '/vols')];
  const isMounted = (...lines: string[]): boolean => mountsPart(lines.join('\n'), data, dir);
  assert.ok(!isMounted(own));
  assert.ok(!isMounted(own, line('8:1', '/a', '/x'), line('8:2', '/ab', '/y')));
  assert.ok(isMounted(own, line('8:2', '/a', '/x')));
  assert.ok(isMounted(own, line('8:2', '/a/part', '/x')));
  const root = line('8:1', '/', '/');
  const [deep, top] = [placeOf(root, '/vols/a/b'), placeOf(root, '/vols')];
  assert.ok(mountsPart(line('8:1', '/vols/a', '/x'), deep, top));
  assert.ok(!mountsPart(root, deep, top));
  assert.deepEqual(placeOf(line('8:3', '/sub', '/mnt'), '/mnt/a'), {
    device: '8:3',
    inside: '/sub/a',
  });
});

test('the last of contradicting options counts', () => {
  assert.deepEqual(readOptions(['rw', 'bind', 'ro', 'nosuid']).options, ['rw', 'ro', 'nosuid']);
  assert.deepEqual(readOptions(['ro', 'rw', 'ro']).options, ['rw', 'ro']);
});

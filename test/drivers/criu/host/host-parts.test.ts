import assert from 'node:assert/strict';
import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hostPartsOf, missingPart } from '../../../../src/drivers/criu/host/host-parts-here.ts';
import { readConfig } from '../../../../src/drivers/criu/read-config.ts';
import { Records } from '../../../../src/drivers/criu/link/records.ts';
import { configOf, containerSpec, ociParts } from '../../../../src/drivers/criu/spec.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';
import {
  containerConfig,
  type ContainerBind,
  type ContainerDevice,
} from '../../../../lab/container/config.ts';

const LOAD = { staticBytes: 0, dirtyBytes: 0, dirtyBytesPerSecond: 0 };
const PLACE = { hostname: 'box', netns: '/run/netns/x', cgroup: '/x' };
const DRIVER = '/opt/driver';
const signal = AbortSignal.timeout(30_000);

function read(binds: readonly ContainerBind[], devices: readonly ContainerDevice[] = []) {
  const program = { layer: '', args: ['/worker'], devices };
  const text = JSON.stringify(containerConfig(PLACE, { ...LOAD, program }, binds));
  return readConfig(text, ['/volumes'], [DRIVER]);
}
const ro = (source: string): ContainerBind => ({
  source,
  destination: '/lib/cuda',
  options: ['ro'],
});

test('a host accepts no writable mount of its directories, whatever the other host sends', () => {
  const { oci } = read([ro(`${DRIVER}/lib`)]);
  assert.ok(oci !== undefined);
  const withOptions = (options?: readonly string[]) => ({
    ...oci,
    mounts: oci.mounts.map((each) => ('host' in each ? { ...each, options } : each)),
  });
  assert.deepEqual(ociParts.safeParse(withOptions(['ro'])).success, true);
  for (const options of [undefined, [], ['rw'], ['ro', 'rw']])
    assert.equal(ociParts.safeParse(withOptions(options)).success, false, String(options));
});

test('a read-only bind mount of a common host directory travels by its number', () => {
  const { oci, ofHost, obstacles } = read([ro(`${DRIVER}/lib`)]);
  assert.deepEqual(obstacles, []);
  assert.deepEqual(ofHost, [{ destination: '/lib/cuda', source: `${DRIVER}/lib` }]);
  assert.ok(oci !== undefined);
  const made = JSON.stringify(configOf(oci, '/run/netns/y', '/y', [], ['/opt/driver/lib']));
  assert.match(
    made,
    /"destination":"\/lib\/cuda","type":"bind","source":"\/opt\/driver\/lib","options":\["bind","rprivate","ro"\]/,
  );
});

test('a bind mount that is writable, or is outside of the common directories, blocks the move', () => {
  const of = (bind: ContainerBind): number => read([bind]).obstacles.length;
  assert.equal(of(ro(DRIVER)), 0);
  assert.equal(of({ ...ro(DRIVER), options: [] }), 1);
  assert.equal(of({ ...ro(DRIVER), options: ['ro', 'rw'] }), 1);
  assert.equal(of({ ...ro(DRIVER), options: ['ro', 'shared'] }), 1);
  assert.equal(of(ro(`${DRIVER}2/lib`)), 1);
  assert.equal(of(ro(`${DRIVER}/../etc`)), 1);
});

test('devices of a GPU travel by their numbers, others block the move', () => {
  const device = (name: string): ContainerDevice => ({
    path: `/dev/${name}`,
    major: 195,
    minor: 1,
  });
  const { oci, obstacles } = read([], [device('nvidia0'), device('nvidia-uvm')]);
  assert.deepEqual(obstacles, []);
  assert.ok(oci !== undefined);
  const made = JSON.stringify(configOf(oci, '/run/netns/y', '/y'));
  assert.match(made, /"path":"\/dev\/nvidia0","type":"c","major":195,"minor":1/);
  assert.match(made, /"allow":true,"type":"c","major":195,"minor":1,"access":"rw"/);
  for (const name of ['kvm', 'nvidia-caps/nvidia-cap1', 'nvidia0x', 'nvidia/../sda'])
    assert.equal(read([], [device(name)]).obstacles.length, 1, name);
});

test('a description has as many host parts as mounts of them', () => {
  const { oci } = read([ro(DRIVER)]);
  const spec = { oci, nics: [], layers: [], criu: '4', runc: '1', features: [] };
  const part = { path: DRIVER, digest: 'a'.repeat(64) };
  assert.ok(containerSpec.safeParse({ ...spec, hostParts: [part] }).success);
  assert.ok(!containerSpec.safeParse(spec).success);
  assert.ok(!containerSpec.safeParse({ ...spec, hostParts: [part, part] }).success);
  assert.ok(!containerSpec.safeParse({ ...spec, hostParts: [{ ...part, path: 'opt' }] }).success);
});

describe('host files in a container', () => {
  let directory: string;
  let a: string;
  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-host-parts-'));
    a = path.join(directory, 'a');
    await mkdir(a);
    await writeFile(path.join(a, 'libcuda.so.1'), 'one');
    await symlink('/etc', path.join(a, 'away'));
  });
  after(() => removeTree(directory));

  test('a host file has the same path below a named directory of the destination, or is missing there', async () => {
    const parts = { hostDirs: [a], records: new Records(path.join(directory, 'records')) };
    const file = path.join(a, 'libcuda.so.1');
    const binds = [a, file].map((source) => ({ destination: '/x', source }));
    const { parts: wanted } = await hostPartsOf(parts, binds, signal);
    assert.equal(await missingPart(parts, wanted, signal), undefined);
    const elsewhere = { ...parts, hostDirs: [] };
    assert.match((await missingPart(elsewhere, wanted, signal))?.what ?? '', /hostDirs/);
    const [whole, one] = wanted;
    assert.ok(whole !== undefined && one !== undefined);
    const out = [{ ...one, path: `${a}/../a/libcuda.so.1` }];
    assert.match((await missingPart(parts, out, signal))?.what ?? '', /hostDirs/);
    const link = [{ ...one, path: path.join(a, 'away') }];
    assert.match((await missingPart(parts, link, signal))?.what ?? '', /leads to \/etc/);
    const none = [{ ...one, path: path.join(a, 'none') }];
    assert.match((await missingPart(parts, none, signal))?.what ?? '', /ENOENT/);
    await writeFile(file, 'two');
    assert.deepEqual(await missingPart(parts, [one], signal), {
      path: file,
      what: 'it has other content than at the source',
    });
    assert.equal((await missingPart(parts, [whole], signal))?.path, a);
  });

  test('a host file is found through a link inside such a directory; a link that leads out is refused by name', async () => {
    const [own, away] = [path.join(directory, 'own'), path.join(directory, 'secret')];
    await mkdir(path.join(own, 'v1'), { recursive: true });
    await mkdir(away);
    for (const each of [path.join(own, 'v1'), away]) await writeFile(path.join(each, 'lib'), 'x');
    await symlink('v1', path.join(own, 'now'));
    await symlink(away, path.join(own, 'out'));
    const parts = { hostDirs: [own], records: new Records(path.join(directory, 'records')) };
    const bind = (name: string) => ({ destination: '/x', source: path.join(own, name) });
    const found = await hostPartsOf(parts, ['now', 'now/lib'].map(bind), signal);
    assert.deepEqual(found.obstacles, []);
    assert.equal(await missingPart(parts, found.parts, signal), undefined);
    for (const name of ['out', 'out/lib', 'none']) {
      const { obstacles } = await hostPartsOf(parts, [bind(name)], signal);
      assert.match(obstacles[0]?.reason ?? '', name === 'none' ? /ENOENT/ : /leads to .*secret/);
    }
    // At the destination too, whatever content it leads to.
    const digest = found.parts[0]?.digest ?? '';
    const led = [{ path: path.join(own, 'out'), digest }];
    assert.match((await missingPart(parts, led, signal))?.what ?? '', /leads to .*secret/);
  });
});

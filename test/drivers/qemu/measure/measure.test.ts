import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ofAll, placeIn } from '../../../../src/drivers/qemu/measure/measure.ts';
import { ProcessPages } from '../../../../src/host/memory-sample/process-pages.ts';
import { type SessionContext, QemuSource } from '../../../../src/drivers/qemu/source.ts';
import { Refusal, fakeMonitor } from '../fake-monitor.ts';

const MIB = 1024 ** 2;

/** A QEMU whose balloon device asks for hints of free pages. It counts anew with each look at its statistics. */
function hinting() {
  const intervals: unknown[] = [];
  let looks = 0;
  const answered = (property: unknown): unknown => {
    if (property === 'free-page-hint') return true;
    if (property === 'guest-stats-polling-interval') return intervals.at(-1) ?? 0;
    looks += 1;
    const stats = { 'stat-free-memory': 100 * MIB, 'stat-available-memory': 200 * MIB };
    return { 'last-update': looks, stats };
  };
  const { client } = fakeMonitor((command, { path, property, value }) => {
    if (command === 'human-monitor-command') return '';
    if (command === 'query-balloon') return { actual: 512 * MIB };
    if (command === 'query-memory-size-summary') return { 'base-memory': 512 * MIB };
    if (command === 'query-memory-devices') return [];
    if (command === 'qom-list')
      return String(path).endsWith('anon')
        ? []
        : [{ name: 'balloon0', type: 'child<virtio-balloon-pci>' }];
    if (command === 'x-query-virtio-status')
      return { 'guest-features': { 'dev-features': ['VIRTIO_BALLOON_F_FREE_PAGE_HINT: on'] } };
    if (command === 'qom-get') return answered(property);
    if (command === 'qom-set') intervals.push(value);
    return command === 'calc-dirty-rate' ? new Refusal('there is none') : undefined;
  });
  const handle = { name: 'web1', pid: process.pid, monitor: '/run/web1/qmp' };
  const context: Partial<SessionContext> = { host: 'a' };
  const source = new QemuSource(
    handle as ConstructorParameters<typeof QemuSource>[0],
    client,
    context as SessionContext,
  );
  return { source, intervals };
}

test('a guest that is measured while its balloon is read keeps the interval of its device', async () => {
  const { source, intervals } = hinting();
  const signal = AbortSignal.timeout(20_000);
  const [, looked] = await Promise.allSettled([
    source.measure(signal),
    source.balloon.look(signal),
  ]);
  assert.equal(looked.status, 'fulfilled');
  assert.deepEqual(intervals, [1, 0]);
});

test("the address of the memory is read from QEMU's text, and from nothing that only resembles it", () => {
  const said = 'Host virtual address for 0x0 (pc.ram) is 0x7f2bb7e00000\r\n';
  assert.deepEqual(placeIn(said), { name: 'pc.ram', address: 0x7f2bb7e00000 });
  const backend = 'Host virtual address for 0x0 (/objects/ram-node0) is 0x7f0000000000';
  assert.equal(placeIn(backend)?.name, 'ram-node0');
  for (const other of [
    'No memory is mapped at address 0x0',
    'unknown command: gpa2hva',
    '(pc.ram) is 0x7f2bb7e00001',
    '(pc.ram) is 0x7f2bb7e0000000000000',
  ])
    assert.equal(placeIn(other), undefined, other);
});

test('the dirty rate of the sampled block stands for all memory, and never exceeds it', () => {
  const seen = { windowMs: 1000, dirtyBytes: 10 * MIB };
  const at = (bytes: number, all: number) => ofAll(seen, { bytes }, all).dirtyBytes;
  assert.equal(at(512 * MIB, 512 * MIB), 10 * MIB);
  assert.equal(at(512 * MIB, 2048 * MIB), 40 * MIB);
  // What a machine has of its own beside its memory does not make it less.
  assert.equal(at(513 * MIB, 512 * MIB), 10 * MIB);
  assert.equal(at(1, 5 * MIB), 5 * MIB);
});

test('any text yields an address or none', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (name, digits) => {
      const place = placeIn(`Host virtual address for 0x0 (${name}) is 0x${digits}`);
      assert.ok(place === undefined || Number.isSafeInteger(place.address));
    }),
  );
});

test('pages of a process are read in place, and missing ones are not created', () => {
  const pages = new ProcessPages(process.pid, { address: 4096, bytes: 8192 });
  try {
    assert.equal(pages.count, 2);
    assert.equal(pages.state(0), 'absent');
    assert.equal(pages.read(0, Buffer.alloc(4096)), false);
  } finally {
    pages.close();
  }
});

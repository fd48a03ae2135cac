import { handleOf } from '../../../../src/drivers/qemu/handle.ts';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mayWrite } from '../../../../lab/witness/locks.ts';
import { qemuPrograms } from '../../../conformance/qemu-place.ts';
import { allocated, contentOf } from './content.ts';
import { MIB, withPair, type DiskPlan, type Pair } from './pair.ts';
import { granted } from '../../../migration/permission/granted.ts';

const GIB = 1024 * MIB;
const BOTH: DiskPlan[] = [
  { format: 'qcow2', bytes: 64 * MIB },
  { format: 'raw', bytes: 64 * MIB },
];

for (const { file: program, version } of await qemuPrograms()) {
  describe(`disks copied while a guest moves (${version})`, () => {
    for (const mode of ['precopy', 'postcopy'] as const) {
      test(`disks follow a guest that moves by ${mode}, each with separate images`, async (t) => {
        await withPair(program, BOTH, (pair) => follow(program, pair, mode, t), { mode });
      });
    }

    test("disks are the source's again if it takes its guest back at the switch", async () => {
      await withPair(program, BOTH, async (pair) => {
        const { session, source, target, nodes, signal } = pair;
        await toTheSwitch(pair, 'precopy');
        await source.finish(nodes, signal);
        await target.end(signal);
        await pair.joint.cut();
        assert.equal((await session.cancel(signal)).run, 'running');
        await source.drop(signal);
        await assertAsBefore(pair);
      });
    });

    test("disks are the source's again if it takes its guest back after the handover", async () => {
      await withPair(program, BOTH, async (pair) => {
        const { session, source, target, destination, nodes, signal } = pair;
        const hears = await toTheSwitch(pair, 'precopy');
        await source.finish(nodes, signal);
        await target.end(signal);
        await session.continueSwitchover(signal);
        await hears('completed');
        assert.deepEqual(await writers(pair), ['destination: copy']);
        await destination.destroy(signal);
        await pair.joint.cut();
        await session.resumeGuest(granted(session.handle.name), signal);
        await source.drop(signal);
        await assertAsBefore(pair);
      });
    });
  });
}

/** The guest runs at the source and writes to its disks, and nothing of the copying is left there. */
async function assertAsBefore(pair: Pair): Promise<void> {
  const { session, beside, nodes, files, signal } = pair;
  assert.equal((await session.status(signal)).run, 'running');
  const before = await allocated(files.source[1] ?? '');
  await pair.io(1, 'write -P 0x33 30M 1M');
  assert.ok((await allocated(files.source[1] ?? '')) > before, 'it can be written to');
  for (const file of files.source) {
    assert.ok(await mayWrite(pair.place.tiny.process.pid ?? 0, file));
  }
  const all = await beside.source.execute('query-named-block-nodes', { flat: true }, signal);
  const names = (all as { 'node-name': string }[]).map((each) => each['node-name']);
  assert.equal(names.length, nodes.length * 2, names.join());
  assert.deepEqual(await beside.source.execute('query-jobs', {}, signal), []);
}

/** Who holds which images: each has its own, and neither ever has the other's. */
async function writers({ place, handle, files }: Pair): Promise<string[]> {
  const found = new Set<string>();
  for (const [who, pid] of [
    ['source', place.tiny.process.pid ?? 0],
    ['destination', handleOf(handle).pid],
  ] as const) {
    for (const file of files.source) if (await mayWrite(pid, file)) found.add(`${who}: own`);
    for (const file of files.destination) if (await mayWrite(pid, file)) found.add(`${who}: copy`);
  }
  return [...found];
}

/** Copies, and sends memory until the guest is paused for the switch. Resolves to what waits for later events. */
async function toTheSwitch(
  pair: Pair,
  mode: 'precopy' | 'postcopy',
): Promise<(type: string) => Promise<void>> {
  const { session, source, nodes, signal, setup, place } = pair;
  await pair.io(0, 'write -P 0x11 0 8M');
  await source.start(nodes, pair.joint.near, signal);
  await pair.ready();
  await source.setWriteBlocking(nodes, signal);
  // Slow enough that post-copy has something left.
  const slow = mode === 'postcopy' ? { maxBandwidth: place.slow } : {};
  await session.configure({ ...setup, ...slow }, signal);
  const said = new Set<string>();
  session.onEvent(({ type }) => said.add(type));
  const hears = (type: string) => pair.until(() => said.has(type));
  await session.startMemory(pair.memoryAddress, undefined, signal);
  if (mode === 'postcopy') {
    await hears('active');
    await session.startPostcopy(signal);
  }
  await pair.io(1, 'write -P 0x21 5M 64k');
  await hears('pre-switchover');
  return hears;
}

/** libvirt's order: mirror, memory up to the switch, end the copies and the exports, go on. */
async function follow(
  program: string,
  pair: Pair,
  mode: 'precopy' | 'postcopy',
  t: { diagnostic(text: string): void },
): Promise<void> {
  const { session, destination, source, target, nodes, signal, files, place } = pair;
  const hears = await toTheSwitch(pair, mode);
  const stopped = performance.now();
  await source.finish(nodes, signal);
  const finished = performance.now();
  await target.end(signal);
  const took = [finished - stopped, performance.now() - finished].map((ms) => ms.toFixed(0));
  t.diagnostic(`finish ${took[0]} ms, end ${took[1]} ms`);
  assert.deepEqual(await writers(pair), ['source: own', 'destination: copy']);
  await session.continueSwitchover(signal);
  await hears(mode === 'precopy' ? 'completed' : 'postcopy-active');
  assert.deepEqual(await writers(pair), ['destination: copy'], 'the source has given its own up');
  await destination.resumeGuest(granted(session.handle.name), signal);
  await session.adjust({ maxBandwidth: GIB }, signal);
  await hears('completed');
  assert.deepEqual(await writers(pair), ['destination: copy']);
  await pair.until(async () => (await place.serialThere()).length > 3);
  assert.match(await place.serialThere(), /^\.+$/, 'its memory is intact');
  await session.quit(signal);
  for (const [index, { format }] of BOTH.entries()) {
    const [here, there] = [files.source[index] ?? '', files.destination[index] ?? ''];
    const is = await contentOf(program, there, format);
    assert.equal(is, await contentOf(program, here, format), `disk ${index}`);
  }
  const before = await allocated(files.destination[1] ?? '');
  const line = 'qemu-io -d /machine/peripheral/disk1/virtio-backend "write -P 0x12 30M 1M"';
  await pair.beside.destination.execute('human-monitor-command', { 'command-line': line });
  assert.ok((await allocated(files.destination[1] ?? '')) > before, 'it can be written to');
}

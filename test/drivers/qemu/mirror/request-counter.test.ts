import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { QemuRequestCounter } from '../../../../src/drivers/qemu/mirror/request-counter.ts';
import { fakeMonitor, Refusal } from '../fake-monitor.ts';

const soon = (): AbortSignal => AbortSignal.timeout(20_000);
const KINDS = ['rd', 'wr', 'flush'];

interface Histogram {
  boundaries: number[];
  bins: number[];
}

/** A QEMU whose devices count; `vda` of the description is its node `#0`, on the device `/0`. */
function qemu() {
  const devices = new Map<string, Record<string, Histogram>>([
    ['/0', {}],
    ['/1', {}],
  ]);
  let isOld = false;
  const threads: unknown[] = [];
  const monitor = fakeMonitor((command, args) => {
    if (command === 'query-blockstats')
      return [
        { stats: {} },
        ...[...devices].map(([qdev, stats]) => ({
          qdev,
          'node-name': qdev.replace('/', '#'),
          stats: structuredClone(stats),
        })),
      ];
    if (command === 'query-iothreads') return threads;
    if (isOld) return new Refusal('no such command', 'CommandNotFound');
    set(String(args['id']), args['boundaries'] as number[] | undefined);
    return undefined;
  });
  const set = (id: string, boundaries?: number[]): void => {
    const of = (): Histogram => ({
      boundaries: boundaries ?? [],
      bins: Array.from({ length: (boundaries ?? []).length + 1 }, () => 0),
    });
    const found = KINDS.map((kind) => [`${kind}_latency_histogram`, of()] as const);
    devices.set(id, boundaries === undefined ? {} : Object.fromEntries(found));
  };
  const asks = (id: string, kind: string): void => {
    const found = devices.get(id)?.[`${kind}_latency_histogram`];
    if (found !== undefined) found.bins[1] = (found.bins[1] ?? 0) + 1;
  };
  const live = new Map([
    ['vda', '#0'],
    ['vdb', '#1'],
  ]);
  const another = () => new QemuRequestCounter(monitor.client, async () => live);
  const old = (): void => void (isOld = true);
  return { devices, set, asks, another, counter: another(), old, threads, said: monitor.said };
}

async function countsOf(counter: QemuRequestCounter, nodes = ['vda', 'vdb']) {
  const found = await counter.read(nodes, soon());
  return found.map(({ node, reads, writes, flushes }) => {
    const [r, w, f] = [reads, writes, flushes].map((kind) => kind?.bins[1]);
    return `${node} ${r}/${w}/${f}`;
  });
}

describe('the counter of request latency', () => {
  test('the counter counts by kind from its beginning on, and leaves nothing', async () => {
    const { counter, asks, devices } = qemu();
    await counter.begin(['vda', 'vdb'], soon());
    for (const kind of ['rd', 'wr', 'wr']) asks('/0', kind);
    assert.deepEqual(await countsOf(counter), ['vda 1/2/0', 'vdb 0/0/0']);
    await counter.begin(['vda', 'vdb'], soon());
    asks('/1', 'flush');
    assert.deepEqual(await countsOf(counter), ['vda 0/0/0', 'vdb 0/0/1']);
    await counter.end(soon());
    assert.deepEqual([...devices.values()], [{}, {}]);
    assert.deepEqual(await countsOf(counter), []);
  });

  test('the counter does nothing if disks have dedicated threads, which QEMU would not wait for', async () => {
    const { counter, threads, devices, said } = qemu();
    threads.push({ id: 'io1' });
    await counter.begin(['vda', 'vdb'], soon());
    assert.deepEqual([...devices.values()], [{}, {}]);
    await counter.end(soon());
    assert.ok(!JSON.stringify(said).includes('block-latency-histogram-set'));
  });

  test("the counter continues under the next mover, which removes the first one's counting", async () => {
    const { counter, another, asks, devices } = qemu();
    await counter.begin(['vda'], soon());
    asks('/0', 'wr');
    const second = another();
    assert.deepEqual(await countsOf(second), ['vda 0/1/0']);
    await second.end(soon());
    assert.deepEqual(devices.get('/0'), {});
  });

  test("the counter reads another program's counting, from its beginning on, and leaves it", async () => {
    const { counter, another, set, asks, devices } = qemu();
    set('/0', [1000, 2000]);
    asks('/0', 'rd');
    await counter.begin(['vda', 'vdb'], soon());
    for (const kind of ['rd', 'wr']) asks('/0', kind);
    assert.deepEqual(await countsOf(counter), ['vda 1/1/0', 'vdb 0/0/0']);
    // Nobody knows how much of it is of now.
    assert.deepEqual(await countsOf(another()), ['vdb 0/0/0']);
    await counter.end(soon());
    const { boundaries, bins } = devices.get('/0')?.['rd_latency_histogram'] ?? {};
    assert.deepEqual(
      [boundaries, bins],
      [
        [1000, 2000],
        [0, 2, 0],
      ],
    );
    assert.deepEqual(devices.get('/1'), {});
  });

  test('the counter reports nothing of a disk whose counting another program changed meanwhile', async () => {
    const { counter, set, asks } = qemu();
    set('/1', [1000]);
    asks('/1', 'rd');
    await counter.begin(['vda', 'vdb'], soon());
    set('/0', [1000]);
    set('/1', [1000]);
    // Two kinds say as much as before; the one that fell is left out.
    assert.deepEqual(await countsOf(counter), ['vdb undefined/0/0']);
  });

  test('the counter reports nothing if QEMU cannot count, or for disks that it does not have', async () => {
    const { counter, old } = qemu();
    await counter.begin(['vdz'], soon());
    old();
    await counter.begin(['vda'], soon());
    assert.deepEqual(await countsOf(counter, ['vda', 'vdz']), []);
  });
});

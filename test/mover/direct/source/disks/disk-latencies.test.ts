import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLog } from '../../../../../src/log.ts';
import type { SourceEvent } from '../../../../../src/migration/direct/source-state.ts';
import type { RequestCounts } from '../../../../../src/migration/report/latencies.ts';
import { DiskLatencies } from '../../../../../src/mover/direct/source/disks/disk-latencies.ts';
import type { SourceContext } from '../../../../../src/mover/direct/source/source-context.ts';
import type { DiskLatency } from '../../../../../src/protocol/disk.ts';

const signal: AbortSignal = new AbortController().signal;

interface Given {
  readonly nodes?: readonly string[];
  /** What the hypervisor fails with, or that it does not count. */
  readonly fails?: Error;
  readonly counts?: false;
}

/** Time goes on by 10 ms with each look at the clock; each reading finds one write more than the one before. */
function scene({ nodes = ['disk0'], fails, counts }: Given = {}) {
  const done: string[] = [];
  const events: SourceEvent[] = [];
  const known: { copies: object[]; diskLatency?: DiskLatency[] } = {
    copies: nodes.map((node) => ({ node })),
  };
  let [now, writes] = [0, 0];
  const requests = {
    begin: async () => {
      if (fails !== undefined) throw fails;
      done.push('begin');
    },
    read: async (wanted: readonly string[]): Promise<RequestCounts[]> => {
      done.push('read');
      writes += 1;
      return wanted.map((node) => ({ node, writes: { boundaries: [1e6], bins: [writes, 0] } }));
    },
    end: async () => void done.push('end'),
  };
  const session = { disks: counts === false ? {} : { requests } };
  const context: unknown = {
    state: () => ({ known }),
    guest: { session: async () => session },
    dispatch: (event: SourceEvent) => {
      events.push(event);
      if (event.type === 'latency') known.diskLatency = event.disks;
    },
  };
  const clock = { monotonicMs: () => (now += 10) } as ConstructorParameters<
    typeof DiskLatencies
  >[0];
  const another = () => new DiskLatencies(clock, silentLog);
  return { latencies: another(), another, context: context as SourceContext, done, known, events };
}

const writes = (count: number) => ({ writes: { count, p50Ms: 1, p99Ms: 1 } });

describe('how long the guest’s own requests take while its disks are copied', () => {
  test('is counted before and during, each from zero, and no more afterwards', async () => {
    const { latencies, context, done, known } = scene();
    latencies.begin(context);
    await latencies.copying(context, signal);
    await latencies.end(context, signal);
    assert.deepEqual(done, ['begin', 'read', 'begin', 'read', 'end']);
    const found = { node: 'disk0', before: writes(1), during: writes(2) };
    const { before, during } = found;
    assert.deepEqual(known.diskLatency, [
      { ...found, before: { overMs: 10, ...before }, during: { overMs: 10, ...during } },
    ]);
    // Undone twice, or after the step before it: what was found is not found again.
    await latencies.end(context, signal);
    assert.deepEqual(done.slice(5), ['end']);
  });

  test('goes on with a mover that takes over, which does not know how long the other one counted', async () => {
    const { latencies, another, context, done, known } = scene();
    latencies.begin(context);
    await latencies.copying(context, signal);
    const second = another();
    await second.copying(context, signal);
    await second.end(context, signal);
    assert.deepEqual(done, ['begin', 'read', 'begin', 'read', 'end']);
    assert.deepEqual(known.diskLatency?.[0]?.during, writes(2));
  });

  test('leaves nothing counted where the copies never began', async () => {
    const { latencies, context, done, events } = scene();
    latencies.begin(context);
    await latencies.end(context, signal);
    assert.deepEqual([done, events], [['begin', 'end'], []]);
  });

  test('is left out where no disk is copied, or the hypervisor does not count or fails', async () => {
    const cases: Given[] = [
      { nodes: [] },
      { counts: false },
      { fails: new Error('no such device') },
    ];
    for (const given of cases) {
      const { latencies, context, events } = scene(given);
      latencies.begin(context);
      await latencies.copying(context, signal);
      await latencies.end(context, signal);
      assert.deepEqual(events, []);
    }
  });

  test('does not keep a migration from being cancelled', async () => {
    const { latencies, context } = scene();
    const cancelled = AbortSignal.abort(new Error('cancelled'));
    await assert.rejects(latencies.copying(context, cancelled), /cancelled/);
  });
});

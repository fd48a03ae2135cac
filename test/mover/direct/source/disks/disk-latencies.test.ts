import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLog } from '../../../../../src/log.ts';
import type { SourceEvent } from '../../../../../src/migration/direct/source/source-state.ts';
import type { RequestCounts } from '../../../../../src/migration/report/latencies.ts';
import { DiskLatencies } from '../../../../../src/mover/direct/source/disks/disk-latencies.ts';
import type { DiskLatency } from '../../../../../src/protocol/disk.ts';

type Dependencies = ConstructorParameters<typeof DiskLatencies>[0];

const signal: AbortSignal = new AbortController().signal;

interface Setup {
  readonly nodes?: readonly string[];
  /** What the hypervisor fails with, or that it does not count. */
  readonly fails?: Error;
  readonly counts?: false;
}

/** Time goes on by 10 ms with each look at the clock; each reading finds one write more than the one before. */
function scene({ nodes = ['disk0'], fails, counts }: Setup = {}) {
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
  >[1];
  const another = () => new DiskLatencies(context as Dependencies, clock, silentLog);
  return { latencies: another(), another, done, known, events };
}

const writes = (count: number) => ({ writes: { count, p50Ms: 1, p99Ms: 1 } });

describe('request latencies during a copy', () => {
  test('request latencies are counted before and during the copy, each from zero, and not afterwards', async () => {
    const { latencies, done, known } = scene();
    latencies.begin();
    await latencies.copying(signal);
    await latencies.end(signal);
    assert.deepEqual(done, ['begin', 'read', 'begin', 'read', 'end']);
    const found = { node: 'disk0', before: writes(1), during: writes(2) };
    const { before, during } = found;
    assert.deepEqual(known.diskLatency, [
      { ...found, before: { overMs: 10, ...before }, during: { overMs: 10, ...during } },
    ]);
    // Undone twice, or after the step before it: what was found is not found again.
    await latencies.end(signal);
    assert.deepEqual(done.slice(5), ['end']);
  });

  test("request latencies continue after a takeover, without the previous mover's start time", async () => {
    const { latencies, another, done, known } = scene();
    latencies.begin();
    await latencies.copying(signal);
    const second = another();
    await second.copying(signal);
    await second.end(signal);
    assert.deepEqual(done, ['begin', 'read', 'begin', 'read', 'end']);
    assert.deepEqual(known.diskLatency?.[0]?.during, writes(2));
  });

  test('request latencies are not counted if the copies never began', async () => {
    const { latencies, done, events } = scene();
    latencies.begin();
    await latencies.end(signal);
    assert.deepEqual([done, events], [['begin', 'end'], []]);
  });

  test('request latencies are omitted without copies, or if the hypervisor does not count or fails', async () => {
    const cases: Setup[] = [
      { nodes: [] },
      { counts: false },
      { fails: new Error('no such device') },
    ];
    for (const given of cases) {
      const { latencies, events } = scene(given);
      latencies.begin();
      await latencies.copying(signal);
      await latencies.end(signal);
      assert.deepEqual(events, []);
    }
  });

  test('request latencies do not block a cancel', async () => {
    const { latencies } = scene();
    const cancelled = AbortSignal.abort(new Error('cancelled'));
    await assert.rejects(latencies.copying(cancelled), /cancelled/);
  });
});

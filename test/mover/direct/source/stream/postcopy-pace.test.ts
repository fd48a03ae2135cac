import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamChange } from '../../../../../src/port/stream-change.ts';
import { silentLog } from '../../../../../src/log.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { PostcopyPace } from '../../../../../src/mover/direct/source/stream/postcopy-pace.ts';
import type { MigrationSettings } from '../../../../../src/protocol/public/migration.ts';
import { planned, sampleOf } from '../../../../migration/direct/samples.ts';
import { UNCAPPED } from '../answers.ts';

type Dependencies = ConstructorParameters<typeof PostcopyPace>[0];

const MB = 1_000_000;
const { signal } = new AbortController();
const WIRE = { takes: 'wire', why: 'so' } as const;
/** Of 10 MB/s. */
const HELD = { precopyBandwidth: 65_536, postcopyBandwidth: 2.5 * MB };
const FILLED = { precopyBandwidth: 0, postcopyBandwidth: 0 };

interface Setup {
  readonly settings?: Partial<MigrationSettings>;
  readonly known?: SourceState['known'];
  readonly rounds?: 'content';
  readonly tookOver?: boolean;
  /** Between two looks at the queue, bytes. */
  readonly carried?: number;
}

/** A stream of 10 MB/s of which the kernel holds so much; what its hypervisor is asked for. */
function streamOf({
  settings,
  known = { memoryAddress: '10.0.0.2:49152' },
  rounds,
  tookOver = false,
  carried = MB,
}: Setup = {}) {
  const { state: first } = initialSource(planned({ mode: 'hybrid', ...settings }));
  const seen = { state: { ...first, known, doing: { kind: 'do', step: 'memory' } } as SourceState };
  const asked: StreamChange[] = [];
  const addresses: string[] = [];
  const fails = { look: false, ask: false };
  let held: number | undefined;
  const queued = async (address: string): Promise<number | undefined> => {
    addresses.push(address);
    if (fails.look) throw new Error('ss is gone');
    return held;
  };
  const sleep = async (_ms: number, until: AbortSignal): Promise<void> => {
    await new Promise(setImmediate);
    until.throwIfAborted();
    // Where nothing is held back, pre-copy fills the queue again.
    if (asked.length > 0) held = Math.max(0, (held ?? 0) - carried);
  };
  const adjust = async (change: StreamChange): Promise<void> => {
    if (fails.ask) throw new Error('the monitor is busy');
    asked.push(change);
  };
  const context = {
    ...UNCAPPED,
    state: () => seen.state,
    tookOver: () => tookOver,
    guest: { session: async () => ({ adjust }), capabilities: { rounds } },
  } as unknown as Dependencies;
  const pace = new PostcopyPace(context, queued, { sleep }, silentLog);
  /** With so much queued; whether the switch may come, and what is left then. */
  const empty = async (bytes: number | undefined, over = signal, totalMs = 1000) => {
    held = bytes;
    const sample = sampleOf({ totalMs, transferredBytes: (totalMs / 1000) * 10 * MB, rate: MB });
    return [await pace.empty(sample, over), held];
  };
  const look = async (totalMs: number, step?: 'memory' | 'drain'): Promise<void> => {
    if (step !== undefined) seen.state = { ...seen.state, doing: { kind: 'do', step } };
    await pace.saw({ totalMs }, signal);
  };
  const isHolding = (): boolean => pace.isHolding;
  return {
    empty,
    look,
    isHolding,
    asked,
    addresses,
    fails,
    fill: () => pace.fill(signal),
  };
}

describe('before the switch to post-copy', () => {
  test('the link sends the queue before post-copy, and pre-copy sends almost nothing meanwhile', async () => {
    const stream = streamOf();
    assert.deepEqual(await stream.empty(4 * MB), [true, 0]);
    assert.deepEqual(stream.asked, [HELD]);
  });

  test('a queue that takes less than 100 ms, or is unknown, changes nothing', async () => {
    for (const held of [0, 0.9 * MB, undefined]) {
      const stream = streamOf();
      assert.deepEqual(await stream.empty(held), [true, held]);
      assert.deepEqual(stream.asked, []);
    }
  });

  test('the queue is not awaited over the wire, several streams, content rounds, or without an address', async () => {
    const memoryAddress = '10.0.0.2:49152';
    const streams = { streams: 4, compress: 'none' } as const;
    for (const given of [
      { known: { memoryAddress, path: { takes: 'wire', why: 'so' } } },
      { known: { memoryAddress, path: { takes: 'native', stream: streams, why: 'so' } } },
      { settings: { streams: 2 } },
      { known: {} },
      { rounds: 'content' },
    ] satisfies readonly Setup[]) {
      const stream = streamOf(given);
      assert.deepEqual(await stream.empty(4 * MB), [true, 4 * MB]);
      assert.deepEqual([stream.asked, stream.addresses], [[], []], JSON.stringify(given));
    }
  });

  test("the queue is not awaited in the first second, before the link's rate is known", async () => {
    const stream = streamOf();
    assert.deepEqual(await stream.empty(4 * MB, signal, 999), [true, 4 * MB]);
    assert.deepEqual(stream.asked, []);
  });

  test('the switch happens all the same if the kernel or the hypervisor does not answer', async () => {
    const deaf = streamOf();
    deaf.fails.look = true;
    assert.deepEqual(await deaf.empty(4 * MB), [true, 4 * MB]);
    const busy = streamOf();
    busy.fails.ask = true;
    assert.deepEqual(await busy.empty(4 * MB), [true, 4 * MB]);
  });

  for (const [link, carried, mayCome] of [
    ['carries nothing', 0, false],
    ['is slow', 1, true],
  ] as const)
    test(`the wait for the queue ends on a link that ${link}`, { timeout: 10_000 }, async (t) => {
      t.mock.timers.enable({ apis: ['setTimeout'] });
      const stream = streamOf({ carried });
      const waiting = stream.empty(4 * MB);
      for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
      t.mock.timers.tick(3000);
      assert.equal((await waiting)[0], mayCome);
    });

  test('a migration that is over no longer waits for the queue', async () => {
    const over = new AbortController();
    const stream = streamOf({ carried: 0 });
    const waiting = stream.empty(4 * MB, over.signal);
    over.abort(new Error('cancelled'));
    await assert.rejects(waiting, /cancelled/);
  });

  test('pre-copy continues with its settings if the switch does not happen', async () => {
    const stream = streamOf();
    await stream.fill();
    assert.deepEqual(stream.asked, [FILLED]);
    const capped = streamOf({ settings: { maxBandwidth: 2 * MB } });
    await capped.empty(4 * MB);
    await capped.look(1000, 'memory');
    assert.deepEqual(capped.asked, [
      { precopyBandwidth: 65_536, postcopyBandwidth: 2 * MB },
      { precopyBandwidth: 2 * MB, postcopyBandwidth: 2 * MB },
    ]);
  });
});

describe('after the switch to post-copy', () => {
  test('unrequested memory has the whole link half a second after the switch', async () => {
    const stream = streamOf();
    await stream.look(9000);
    await stream.empty(4 * MB);
    for (const totalMs of [10_000, 10_499]) await stream.look(totalMs, 'drain');
    assert.deepEqual(stream.asked, [HELD]);
    for (const totalMs of [10_500, 12_000]) await stream.look(totalMs, 'drain');
    assert.deepEqual(stream.asked, [HELD, FILLED], 'once');
  });

  test('no cap is set if none was held back', async () => {
    const stream = streamOf();
    await stream.look(9000, 'memory');
    for (const totalMs of [10_000, 12_000]) await stream.look(totalMs, 'drain');
    assert.deepEqual(stream.asked, []);
  });

  test('a hypervisor that does not answer is asked again at the next look', async () => {
    const stream = streamOf();
    await stream.empty(4 * MB);
    await stream.look(10_000, 'drain');
    stream.fails.ask = true;
    await stream.look(11_000, 'drain');
    stream.fails.ask = false;
    await stream.look(12_000, 'drain');
    assert.deepEqual(stream.asked, [HELD, FILLED]);
  });

  test('a mover that took over several streams, or the wire, holds nothing back: their caps can be set', async () => {
    for (const given of [{ settings: { streams: 4 } }, { known: { path: WIRE } }] as const) {
      const stream = streamOf({ ...given, tookOver: true });
      await stream.look(2000);
      assert.deepEqual([stream.isHolding(), stream.asked], [false, []]);
    }
  });

  test("a mover that took over lifts the earlier mover's possible cap, once", async () => {
    // One that took over in the switch has done a step of its own when it first looks.
    for (const [step, tookOver] of [
      ['memory', true],
      ['drain', true],
      ['drain', false],
    ] as const) {
      const stream = streamOf({ tookOver });
      for (const totalMs of [10_000, 11_000, 12_000]) await stream.look(totalMs, step);
      assert.deepEqual(stream.asked, [FILLED], step);
    }
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLog } from '../../../../../src/log.ts';
import type { StreamChange } from '../../../../../src/port/stream-change.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { UnderWay } from '../../../../../src/mover/direct/source/stream/under-way.ts';
import type { MigrationSettings } from '../../../../../src/protocol/public/migration.ts';
import { planned } from '../../../../migration/direct/samples.ts';

type Dependencies = ConstructorParameters<typeof UnderWay>[0];

const MB = 1_000_000;
const { signal } = new AbortController();

interface Setup {
  readonly settings?: Partial<MigrationSettings>;
  readonly known?: SourceState['known'];
  readonly stopped?: boolean;
  readonly tookOver?: boolean;
  readonly rounds?: 'content';
  readonly levers?: readonly string[];
}

/** A stream of 10 MB/s of which the kernel holds what is said at each look; what the hypervisor is asked to plan for, ms. */
function streamOf({
  settings,
  known = { memoryAddress: '10.0.0.2:49152' },
  stopped = false,
  tookOver = false,
  rounds,
  levers = ['downtime'],
}: Setup = {}) {
  const { state: first } = initialSource(
    planned({ mode: 'precopy', maxDowntimeMs: 300, ...settings }),
  );
  const seen = {
    state: { ...first, known, stopped, doing: { kind: 'do', step: 'memory' } } as SourceState,
  };
  const asked: number[] = [];
  const addresses: string[] = [];
  const fails = { look: false, ask: false };
  let [held, ms]: [number | undefined, number] = [0, 0];
  const queued = async (address: string): Promise<number | undefined> => {
    addresses.push(address);
    if (fails.look) throw new Error('ss is gone');
    return held;
  };
  const adjust = async ({ maxDowntimeMs = NaN }: StreamChange): Promise<void> => {
    if (fails.ask) throw new Error('the monitor is busy');
    asked.push(Math.round(maxDowntimeMs));
  };
  const session = { levers: async () => levers, adjust };
  const context: unknown = {
    state: () => seen.state,
    tookOver: () => tookOver,
    guest: { session: async () => session, capabilities: { rounds } },
  };
  const underWay = new UnderWay(context as Dependencies, queued, silentLog);
  /** A second later. */
  const look = async (bytes: number | undefined): Promise<number[]> => {
    held = bytes;
    underWay.saw({ totalMs: ms, transferredBytes: (ms / 1000) * 10 * MB }, signal);
    ms += 1000;
    await new Promise(setImmediate);
    return asked;
  };
  return {
    look,
    asked,
    addresses,
    seen,
    fails,
    nowMs: () => underWay.msOf(),
  };
}

describe('kernel-held bytes of a stream', () => {
  test('kernel-held bytes are deducted from the planned downtime with the switch, down to a third of it', async () => {
    const stream = streamOf();
    await stream.look(0);
    assert.equal(stream.nowMs(), 40);
    assert.deepEqual(await stream.look(MB), [160]);
    assert.equal(stream.nowMs(), 140);
    assert.deepEqual(await stream.look(4 * MB), [160, 100]);
    assert.deepEqual(await stream.look(0), [160, 100, 260]);
    assert.equal(stream.addresses[0], '10.0.0.2:49152');
  });

  test('kernel-held bytes are set again only if they changed much', async () => {
    const stream = streamOf();
    for (const held of [0, MB, 1.1 * MB, 0.9 * MB]) await stream.look(held);
    assert.deepEqual(stream.asked, [160]);
    assert.deepEqual(await streamOf().look(0), []);
  });

  test('kernel-held bytes are unknown after a failed look or hypervisor call, until the next look', async () => {
    const stream = streamOf();
    await stream.look(0);
    stream.fails.look = true;
    assert.deepEqual([await stream.look(MB), stream.nowMs()], [[], 40]);
    stream.fails.look = false;
    stream.fails.ask = true;
    assert.deepEqual(await stream.look(MB), []);
    stream.fails.ask = false;
    assert.deepEqual(await stream.look(MB), [160]);
  });

  test('kernel-held bytes are set once by a mover that took over, as the earlier setting is unknown', async () => {
    const stream = streamOf({ tookOver: true });
    await stream.look(0);
    assert.deepEqual(await stream.look(0), [260]);
    assert.deepEqual(await stream.look(0), [260]);
  });

  test('kernel-held bytes do not count after the stop, over the wire, in content rounds, or in post-copy', async () => {
    const memoryAddress = '10.0.0.2:49152';
    const given: readonly Setup[] = [
      { stopped: true },
      { known: { memoryAddress, path: { takes: 'wire', why: 'so' } } },
      { known: {} },
      { rounds: 'content' },
      { settings: { mode: 'postcopy' } },
      { levers: ['postcopy'] },
    ];
    for (const each of given) {
      const stream = streamOf(each);
      await stream.look(0);
      assert.deepEqual(await stream.look(MB), [], JSON.stringify(each));
    }
    const byWire = streamOf({ known: { memoryAddress, path: { takes: 'wire', why: 'so' } } });
    assert.deepEqual([byWire.nowMs(), streamOf({ rounds: 'content' }).nowMs()], [60, 0]);
  });

  test('a stop during the check of kernel-held bytes sends the guest no further settings', async () => {
    const stream = streamOf();
    await stream.look(0);
    const over = stream.look(MB);
    stream.seen.state = { ...stream.seen.state, stopped: true };
    assert.deepEqual(await over, []);
  });
});

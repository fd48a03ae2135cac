import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';
import type { StreamChange } from '../../../../src/drivers/port/direct.ts';
import { initialSource } from '../../../../src/migration/direct/source-state.ts';
import type { SourceState } from '../../../../src/migration/direct/source-state.ts';
import { LinkPeak } from '../../../../src/migration/steering/write-rate.ts';
import { MemorySteering } from '../../../../src/mover/direct/source/memory-steering.ts';
import type { SourceContext } from '../../../../src/mover/direct/source/source-context.ts';
import type { MemorySample } from '../../../../src/protocol/public/migration.ts';
import { planned, sampleOf } from '../../../migration/direct/samples.ts';

const MIB = 1024 ** 2;
const FIRST = sampleOf({
  round: 1,
  rate: 10 * MIB,
  totalBytes: 256 * MIB,
  remainingBytes: 200 * MIB,
  totalMs: 4000,
  transferredBytes: 40 * MIB,
});
const LATER = { ...FIRST, totalMs: 6000, transferredBytes: 60 * MIB };

/** What it lets one change, and what comes of that. */
interface Hypervisor {
  readonly levers?: readonly string[];
  readonly adjust?: () => Promise<void>;
}

describe('the downtime for which the hypervisor plans', () => {
  /** What it is asked for as these are seen, by a lever that it has or not. */
  async function askedAs(
    samples: readonly MemorySample[],
    { levers = ['downtime'], adjust = async () => {} }: Hypervisor = {},
  ): Promise<StreamChange[]> {
    const settings = { mode: 'precopy', maxDowntimeMs: 300 } as const;
    const state: SourceState = {
      ...initialSource(planned(settings)).state,
      doing: { kind: 'do', step: 'memory' },
    };
    const asked: StreamChange[] = [];
    const context: unknown = {
      state: () => state,
      config: { wire: { rates: {} } },
      request: {},
      linkPeak: new LinkPeak(),
      guest: {
        session: async () => ({
          levers: async () => levers,
          adjust: async (change: StreamChange) => {
            asked.push(change);
            await adjust();
          },
        }),
      },
    };
    const recorder = { state, record: async () => {} };
    const steering = new MemorySteering(recorder, systemClock);
    const { signal } = new AbortController();
    for (const sample of samples)
      await steering.look(context as SourceContext, sample, 60_000, signal);
    return asked;
  }

  test('is set anew once memory flows and shows what is under way, and not again for little', async () => {
    const little = { ...LATER, totalMs: 8000, transferredBytes: 80.5 * MIB };
    assert.deepEqual(
      (await askedAs([FIRST, LATER, little])).map(({ maxDowntimeMs = 0 }) =>
        Math.round(maxDowntimeMs),
      ),
      [157],
    );
  });

  test('is left as it is where that cannot be set, and where it is refused', async () => {
    assert.deepEqual(await askedAs([FIRST, LATER], { levers: [] }), []);
    const adjust = () => Promise.reject(new Error('the monitor is gone'));
    assert.equal((await askedAs([FIRST, LATER, LATER], { adjust })).length, 1);
  });
});

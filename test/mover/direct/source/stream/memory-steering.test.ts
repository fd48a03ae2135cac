import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../../../../src/clock.ts';
import type { StreamChange } from '../../../../../src/port/stream-change.ts';
import type { Brief } from '../../../../../src/host/memory-sample/pages.ts';
import { silentLog } from '../../../../../src/log.ts';
import {
  initialSource,
  type SourceEvent,
  type SourceState,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { transition } from '../../../../../src/migration/direct/source/transition.ts';
import {
  MemorySteering,
  setSteering,
  type SteeringDependencies,
} from '../../../../../src/mover/direct/source/stream/memory-steering.ts';
import type { StepContext } from '../../../../../src/mover/direct/source/ports.ts';
import type {
  MemorySample,
  MigrationSettings,
} from '../../../../../src/protocol/public/migration.ts';
import { planned, sampleOf } from '../../../../migration/direct/samples.ts';
import { UNCAPPED } from '../answers.ts';

const inMemory: SourceState = {
  ...initialSource(planned({ steering: 'no-postcopy' })).state,
  doing: { kind: 'do', step: 'memory' },
};

/** A throttle was decided; what the hypervisor was asked for, and what came of it. */
async function afterThrottle(
  adjust: (change: StreamChange) => Promise<void>,
): Promise<SourceEvent[]> {
  const change = { of: 'throttlePercent', from: 0, to: 20 } as const;
  const { state } = transition(inMemory, { type: 'decided', what: 'throttle', why: 'so', change });
  const events: SourceEvent[] = [];
  const context: unknown = {
    state: () => state,
    dispatch: (event: SourceEvent) => events.push(event),
    hypervisor: { session: async () => ({ adjust }) },
    dataPath: { downtimeMs: () => 100 },
  };
  await setSteering(context as StepContext, silentLog, new AbortController().signal);
  return events;
}

describe('a setting of the stream', () => {
  test('a setting that was applied is not reported: the journal has it since the decision', async () => {
    const reported: StreamChange[] = [];
    const events = await afterThrottle(async (change) => {
      reported.push(change);
    });
    assert.deepEqual([events, reported], [[], [{ throttlePercent: 20 }]]);
  });

  test('a setting that failed is journaled as not set', async () => {
    const events = await afterThrottle(async () => {
      throw new Error('the monitor is gone');
    });
    assert.deepEqual(
      events.map(({ type }) => type),
      ['unset'],
    );
  });
});

const MIB = 1024 ** 2;
const SLOW = { rate: 10 * MIB, totalBytes: 256 * MIB };
const FIRST = sampleOf({
  ...SLOW,
  round: 1,
  remainingBytes: 200 * MIB,
  totalMs: 4000,
  transferredBytes: 40 * MIB,
});
const LATER = { ...FIRST, totalMs: 6000, transferredBytes: 60 * MIB };
const LATER_STILL = { ...LATER, totalMs: 7000, transferredBytes: 70 * MIB };
/** The second round begins; by the first alone the guest dirties less than the link carries. */
const SECOND = sampleOf({
  ...SLOW,
  round: 2,
  totalMs: 15_000,
  transferredBytes: 140 * MIB,
  remainingBytes: 52 * MIB,
  dirtyRate: 4 * MIB,
});

type ChosenPath = Omit<NonNullable<SourceState['known']['path']>, 'why'>;

/** A migration by `must-finish` of a guest that is looked at so; what it decides as each of these is seen. */
async function decidedBy(
  measure: ((signal: AbortSignal, brief: Brief) => Promise<unknown>) | undefined,
  samples: readonly MemorySample[],
  {
    rounds,
    path,
    holdsSwitch = false,
    ...settings
  }: Omit<Partial<MigrationSettings>, 'path'> & {
    rounds?: 'content';
    path?: ChosenPath;
    holdsSwitch?: boolean;
  } = {},
): Promise<string[]> {
  let state: SourceState = {
    ...initialSource(planned({ mode: 'hybrid', steering: 'must-finish', ...settings })).state,
    doing: { kind: 'do', step: 'memory' },
  };
  if (path !== undefined)
    state = { ...state, known: { ...state.known, path: { why: 'so', ...path } } };
  const decided: string[] = [];
  const session = { levers: async () => ['postcopy'], ...(measure && { measure }) };
  const context: unknown = {
    ...UNCAPPED,
    disks: { holdsSwitch },
    state: () => state,
    underWay: { saw: () => {}, msOf: () => 0 },
    pace: { saw: async () => {}, empty: async () => true, fill: async () => {} },
    dataPath: { isCut: false },
    peer: { resume: () => {}, once: async () => ({ state: 'armed', hypervisor: 'incoming' }) },
    guest: { session: async () => session, capabilities: { rounds } },
  };
  const looking = new MemorySteering(
    {
      get state(): SourceState {
        return state;
      },
      record: async (event) => {
        if (event.type === 'decided') decided.push(event.what);
      },
    },
    systemClock,
  );
  for (const sample of samples) {
    state = transition(state, { type: 'measured', sample, final: false }).state;
    const { signal } = new AbortController();
    await looking.look(context as SteeringDependencies, sample, 60_000, signal);
    // The look at its pages is over long before the round is.
    await new Promise(setImmediate);
  }
  looking.close();
  return decided;
}

describe('samples in the first round', () => {
  const SEEN = {
    how: 'pages',
    pages: 1024,
    memoryBytes: 256 * MIB,
    curve: [{ windowMs: 1000, dirtyBytes: 28 * MIB }],
  };
  const busy = async () => SEEN;

  test('a guest is sampled in the first round so that post-copy starts right after it', async () => {
    assert.deepEqual(await decidedBy(busy, [FIRST, LATER, SECOND]), ['postcopy']);
    assert.deepEqual(await decidedBy(undefined, [FIRST, LATER, SECOND]), []);
  });

  test('a guest is not steered while the switch is held, since the data sent then shows nothing', async () => {
    const held = { holdsSwitch: true };
    assert.deepEqual(await decidedBy(busy, [FIRST, LATER, SECOND], held), []);
  });

  test("post-copy starts before the round's end if most sent pages would have to be sent again", async () => {
    let longestMs: number | undefined;
    const measure = async (_: AbortSignal, brief: Brief) => {
      longestMs ??= brief.longestMs;
      if (brief.longestMs === undefined) return SEEN;
      const curve = [{ windowMs: 1000, dirtyBytes: 28 * MIB }];
      return { ...SEEN, curve: [...curve, { windowMs: 9000, dirtyBytes: 200 * MIB }] };
    };
    assert.deepEqual(await decidedBy(measure, [FIRST, LATER, LATER_STILL]), ['postcopy']);
    // A part of the 26 s that the round takes in all.
    assert.equal(longestMs, 7800);
    assert.deepEqual(
      await decidedBy(measure, [FIRST, LATER, LATER_STILL], { steering: 'standard' }),
      [],
    );
  });

  test('a guest is sampled again if the round takes longer than the long sample was made for', async () => {
    const asked: number[] = [];
    const measure = async (_: AbortSignal, brief: Brief) => {
      if (brief.longestMs !== undefined) asked.push(brief.longestMs);
      return SEEN;
    };
    const slower = { ...LATER_STILL, totalMs: 40_000, remainingBytes: 199 * MIB };
    await decidedBy(measure, [FIRST, LATER, LATER_STILL, slower, slower]);
    assert.equal(asked.length, 2);
    assert.ok((asked[1] ?? 0) > (asked[0] ?? 0) * 2, String(asked));
  });

  test('a guest is sampled once, and not if the round would be over before the sample', async () => {
    let looks = 0;
    const counted = async () => {
      looks += 1;
      return busy();
    };
    await decidedBy(counted, [FIRST, LATER, { ...LATER_STILL, remainingBytes: 190 * MIB }, SECOND]);
    assert.equal(looks, 2, 'a short one and a long one');
    await decidedBy(counted, [FIRST, { ...LATER, remainingBytes: 20 * MIB }, SECOND]);
    assert.equal(looks, 2);
  });

  test('a guest is not sampled if written bytes are not sent bytes, or its hypervisor would have to look', async () => {
    const both = [FIRST, LATER, SECOND];
    assert.deepEqual(await decidedBy(busy, both, { compress: 'zstd' }), []);
    const stream = { streams: 4, compress: 'zstd' } as const;
    assert.deepEqual(await decidedBy(busy, both, { path: { takes: 'native', stream } }), []);
    assert.deepEqual(await decidedBy(busy, both, { path: { takes: 'wire' } }), []);
    assert.deepEqual(await decidedBy(busy, both, { rounds: 'content' }), []);
    let enough: AbortSignal | undefined;
    const outside = async (_: AbortSignal, brief: Brief) => {
      ({ enough } = brief);
      return { ...SEEN, how: 'hypervisor' };
    };
    assert.deepEqual(await decidedBy(outside, both), []);
    assert.equal(enough?.aborted, false, 'from outside alone');
  });

  test("a guest's write rate is compared with the memory rate if memory is compressed", async () => {
    const to = (totalMs: number, packing: number) => {
      const transferredBytes = (totalMs / 1000) * 10 * MIB;
      const contentBytes = transferredBytes * packing;
      return { ...SECOND, round: 3, totalMs, transferredBytes, contentBytes, dirtyRate: 12 * MIB };
    };
    const settings = { steering: 'standard', compress: 'zstd', streams: 2 } as const;
    const decides = (packing: number) =>
      decidedBy(undefined, [to(10_000, packing), to(12_500, packing)], settings);
    assert.deepEqual(await decides(1), ['postcopy', 'postcopy']);
    assert.deepEqual(await decides(2.5), ['postcopy']);
  });

  test('a guest is not sampled if post-copy begins at once', async () => {
    let looks = 0;
    const counted = async () => {
      looks += 1;
      return busy();
    };
    await decidedBy(counted, [FIRST], { mode: 'postcopy', steering: undefined });
    assert.equal(looks, 0);
  });

  test('a guest is sampled until it stops', async () => {
    let signal: AbortSignal | undefined;
    const measure = (inner: AbortSignal) => {
      signal = inner;
      return new Promise((_, reject) => {
        inner.addEventListener('abort', () => reject(inner.reason as Error));
      });
    };
    assert.deepEqual(await decidedBy(measure, [FIRST, LATER]), []);
    assert.equal(signal?.aborted, true);
  });

  test('a failed sample leaves the decision to the rounds', async () => {
    const refused = async () => {
      throw new Error('this mover may not read its memory');
    };
    assert.deepEqual(await decidedBy(refused, [FIRST, LATER, SECOND]), []);
    const third = { ...SECOND, round: 3, totalMs: 20_000, dirtyRate: 10 * MIB };
    assert.deepEqual(await decidedBy(refused, [FIRST, LATER, SECOND, third]), ['postcopy']);
  });
});

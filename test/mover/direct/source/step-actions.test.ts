import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SourceSession } from '../../../../src/port/direct.ts';
import { godwitError, hasCode } from '../../../../src/errors.ts';
import { decide } from '../../../../src/migration/direct/source/decide.ts';
import type { HypervisorStatus } from '../../../../src/migration/direct/hypervisor.ts';
import {
  initialSource,
  stepFacts,
  type SourceEvent,
  type SourceState,
} from '../../../../src/migration/direct/source/source-state.ts';
import {
  actionOf,
  continueSwitchover,
  firstFrame,
  lastLook,
  seenThere,
} from '../../../../src/mover/direct/source/step-actions.ts';
import { launchOf } from '../../../../src/mover/direct/source/examine.ts';
import { sessionIfThere } from '../../../../src/mover/direct/source/source-base.ts';
import type { StepContext } from '../../../../src/mover/direct/source/ports.ts';
import { COPY, planned, sampleOf } from '../../../migration/direct/samples.ts';
import { answer, UNCHANGED, type Answer } from './answers.ts';

const signal = new AbortController().signal;
const LOST = godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest: 'web1', reason: 'x' });
const AWAY = godwitError('GODWIT_MONITOR_UNREACHABLE', {
  side: 'source',
  guest: 'web1',
  reason: 'busy',
});

interface Setup {
  readonly state?: Partial<SourceState>;
  readonly session?: object | Error;
  /** Where the hypervisor stands. */
  readonly status?: { readonly stream: HypervisorStatus['stream']; readonly reason?: string };
  readonly tookOver?: boolean;
  readonly probe?: 'off' | 'first-frame';
  /** What the destination says it saw. */
  readonly there?: Answer<object>;
  readonly calls?: string[];
}

function partsOf({ state = {}, session = {}, calls = [], ...given }: Setup) {
  const events: SourceEvent[] = [];
  const context: unknown = {
    host: { config: { network: { probe: given.probe ?? 'first-frame' } } },
    state: () => ({ ...initialSource(planned()).state, ...state }),
    request: { id: 'm-00000001', request: { guest: 'web1' } },
    hypervisor: {
      ...UNCHANGED,
      session: async () => {
        if (session instanceof Error) throw session;
        return session;
      },
      status: async () => {
        calls.push('status');
        return given.status;
      },
    },
    disks: { copies: { finish: async () => void calls.push('finish disks') } },
    peer: {
      resume: () => {},
      call: async () => {
        calls.push('ask');
        return answer(given.there ?? {}, signal);
      },
    },
    tookOver: () => given.tookOver ?? false,
    dispatch: (event: SourceEvent) => events.push(event),
  };
  return { context: context as StepContext, events, calls };
}

describe('the first frame', () => {
  test('the first frame is requested if it is unknown, and a missing answer is not a failure', async () => {
    assert.deepEqual(await firstFrame(partsOf({ there: { firstFrameMs: 12 } }).context, signal), {
      firstFrameMs: 12,
    });
    assert.deepEqual(await firstFrame(partsOf({ there: {} }).context, signal), {});
    assert.deepEqual(await firstFrame(partsOf({ there: AWAY }).context, signal), {});
  });

  test('the first frame is not requested if it is known, or no host watches for it', async () => {
    for (const given of [{ probe: 'off' }, { state: { known: { firstFrameMs: 3 } } }] as const) {
      const { context, calls } = partsOf({ ...given, there: { firstFrameMs: 12 } });
      assert.deepEqual([await firstFrame(context, signal), calls], [{}, []]);
    }
  });
});

test("the step facts take from the destination's report only those that the source lacks", () => {
  const ms = fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined });
  const status = fc.record({
    id: fc.constant('m-00000001'),
    epoch: fc.constant(17),
    state: fc.constantFrom('armed', 'running'),
    hypervisor: fc.constant('running'),
    firstFrameMs: ms,
    postcopyWaitedMs: ms,
  } as const);
  fc.assert(
    fc.property(status, (seen) => {
      const { firstFrameMs, postcopyWaitedMs } = seen;
      const facts = seenThere(seen);
      assert.deepEqual(stepFacts.parse(facts), facts);
      assert.deepEqual(
        { firstFrameMs, postcopyWaitedMs },
        {
          firstFrameMs: undefined,
          postcopyWaitedMs: undefined,
          ...facts,
        },
      );
    }),
  );
});

describe('the last state of the guest', () => {
  const postcopy: Partial<SourceState> = { via: 'postcopy', known: { copies: [COPY] } };

  test('the last state of the guest is sent after its disks', async () => {
    const calls: string[] = [];
    const session = {
      status: async () => (calls.push('status'), {}),
      continueSwitchover: async () => void calls.push('continue'),
    };
    await continueSwitchover(partsOf({ state: postcopy, session, calls }).context, signal);
    assert.deepEqual(calls, ['finish disks', 'status', 'continue']);
  });

  test('the last state of the guest stays if post-copy could not stop the guest', async () => {
    const calls: string[] = [];
    const session = {
      status: async () => ({ reason: 'flush failed' }),
      continueSwitchover: async () => void calls.push('continue'),
    };
    const over = continueSwitchover(partsOf({ state: postcopy, session, calls }).context, signal);
    await assert.rejects(over, (thrown) => hasCode(thrown, 'GODWIT_STREAM_FAILED'));
    assert.deepEqual(calls, ['finish disks']);
  });
});

test('a driver that cannot describe a new start of the guest is refused by name', async () => {
  const handle = { driver: 'fake', name: 'web1', pid: 1, startTicks: 1, monitor: '' };
  const launch = { argv: ['qemu'] };
  const knows = { launch: async () => launch } as unknown as SourceSession;
  assert.equal(await launchOf(knows, handle, signal), launch);
  await assert.rejects(launchOf({} as SourceSession, handle, signal), (thrown) => {
    assert.ok(hasCode(thrown, 'GODWIT_RESTART'));
    assert.match(thrown.message, /fake/);
    return true;
  });
});

test('a hypervisor that has ended has no session; an unreachable one is an error', async () => {
  const session = {};
  assert.equal(await sessionIfThere(partsOf({ session }).context.hypervisor, signal), session);
  assert.equal(
    await sessionIfThere(partsOf({ session: LOST }).context.hypervisor, signal),
    undefined,
  );
  await assert.rejects(sessionIfThere(partsOf({ session: AWAY }).context.hypervisor, signal), AWAY);
});

describe('the last look of a rehearsal', () => {
  const sample = sampleOf({ remainingBytes: 4096 });
  const looks = (cameTo: SourceState['cameTo'], seen: Answer<object>) =>
    partsOf({
      state: cameTo === undefined ? {} : { cameTo },
      session: { sample: (within: AbortSignal) => answer(seen, within) },
    });

  test('the last look of a rehearsal is recorded as the end of the stream', async () => {
    const { context, events } = looks('precopy', sample);
    await lastLook(context, signal);
    assert.deepEqual(events, [{ type: 'measured', sample, final: true }]);
  });

  test('the last look of a rehearsal is given up if the hypervisor fails or does not answer at once', async () => {
    for (const seen of ['silent', LOST] as const) {
      const { context, events } = looks('postcopy', seen);
      await lastLook(context, signal);
      assert.deepEqual(events, []);
    }
  });

  test('the last look of a rehearsal is skipped if the migration has not reached the switch', async () => {
    const { context, events } = looks(undefined, sample);
    await lastLook(context, signal);
    assert.deepEqual(events, []);
  });
});

describe("the rest of a hypervisor's step", () => {
  const steps = fc.constantFrom('memory' as const, 'switchover' as const);
  const streams: HypervisorStatus['stream'][] = [
    'none',
    'setup',
    'active',
    'pre-switchover',
    'device',
    'postcopy-active',
    'postcopy-paused',
    'completed',
    'cancelled',
    'failed',
  ];
  const via = fc.constantFrom('none' as const, 'postcopy' as const);

  test("the rest of a hypervisor's step is looked up only after a takeover or a retry", async () => {
    const attempts = fc.integer({ min: 0, max: 3 });
    const stream = fc.constantFrom(...streams);
    await fc.assert(
      fc.asyncProperty(
        steps,
        stream,
        via,
        attempts,
        fc.boolean(),
        async (step, seen, by, tries, tookOver) => {
          const state = { attempts: tries, via: by };
          const { context, calls } = partsOf({ state, tookOver, status: { stream: seen } });
          const isFirst = tries === 0 && !tookOver;
          const expected = decide(context.state(), step, isFirst ? undefined : seen);
          if (expected === 'broken') {
            await assert.rejects(actionOf(context, step, signal), (thrown) =>
              hasCode(thrown, 'GODWIT_STREAM_FAILED'),
            );
          } else assert.equal(await actionOf(context, step, signal), expected);
          assert.deepEqual(calls, isFirst ? [] : ['status']);
        },
      ),
    );
  });

  test("the rest of a step is dropped if the stream broke: the step fails with the hypervisor's reason", async () => {
    const at = (reason?: string) => {
      const status = { stream: 'failed' as const, ...(reason === undefined ? {} : { reason }) };
      return actionOf(partsOf({ tookOver: true, status }).context, 'memory', signal);
    };
    await assert.rejects(at('connection reset'), /connection reset/);
    await assert.rejects(at(), /no mover listened/);
  });
});

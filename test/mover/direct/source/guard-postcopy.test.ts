import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../../../src/errors.ts';
import { initialSource } from '../../../../src/migration/direct/source-state.ts';
import type { SourceState } from '../../../../src/migration/direct/source-state.ts';
import { STEP_NAMES } from '../../../../src/migration/direct/steps.ts';
import {
  assertDisksOpen,
  assertStopped,
  guardPostcopy,
} from '../../../../src/mover/direct/source/guard-postcopy.ts';
import type { SourceContext } from '../../../../src/mover/direct/source/source-context.ts';
import { COPY, planned } from '../../../migration/direct/samples.ts';

const signal = AbortSignal.timeout(10_000);
const isLostPath = (thrown: unknown): boolean => hasCode(thrown, 'GODWIT_DISK_FAILED');

interface Given {
  readonly doing?: SourceState['doing'];
  readonly via?: SourceState['via'];
  /** The guest has disks that are copied. */
  readonly copies?: boolean;
  /** Their path stands; and: the guest is paused, and what is left of them goes. */
  readonly isOpen?: boolean;
  readonly isFinishing?: boolean;
  /** Why the hypervisor's stop has failed, where it has. */
  readonly reason?: string | undefined;
}

const AT_SWITCH = {
  doing: { kind: 'do', step: 'switchover' },
  via: 'postcopy',
  copies: true,
} as const;

/** A migration that is at `now` whenever it is looked at. */
function partsAt(now: () => Given): SourceContext {
  const context: unknown = {
    state: () => {
      const { doing, via, copies = false } = now();
      const known = copies ? { copies: [COPY] } : {};
      const state = { ...initialSource(planned({ mode: 'postcopy' })).state, known };
      return { ...state, ...(doing === undefined ? {} : { doing }), via: via ?? 'none' };
    },
    disks: {
      get isOpen() {
        return now().isOpen ?? false;
      },
      get isFinishing() {
        return now().isFinishing ?? false;
      },
    },
    request: { request: { guest: 'web1' } },
    guest: { session: async () => ({ status: async () => ({ reason: now().reason }) }) },
  };
  return context as SourceContext;
}

describe('the switch to post-copy of a guest whose disks are copied', () => {
  test('is guarded until the hypervisor holds the guest', async () => {
    for (const over of [
      { ...AT_SWITCH, isOpen: true, isFinishing: true },
      { ...AT_SWITCH, doing: { kind: 'undo', step: 'switchover' } },
      { ...AT_SWITCH, doing: { kind: 'do', step: 'commit' } },
    ] as const) {
      let looks = 0;
      await guardPostcopy(
        partsAt(() => ((looks += 1) > 12 ? over : { ...AT_SWITCH, isOpen: true })),
        signal,
      );
      assert.ok(looks > 12);
    }
  });

  test('fails as soon as the path of the copies is lost', async () => {
    let looks = 0;
    const context = partsAt(() => ({ ...AT_SWITCH, isOpen: (looks += 1) < 12 }));
    await assert.rejects(guardPostcopy(context, signal), isLostPath);
  });

  test('is guarded no longer than its step', async () => {
    const abort = new AbortController();
    const over = guardPostcopy(
      partsAt(() => ({ ...AT_SWITCH, isOpen: true })),
      abort.signal,
    );
    abort.abort();
    await assert.rejects(over, { name: 'AbortError' });
  });

  test('is guarded there alone: at another step, in pre-copy, and without copies nothing is looked at', async () => {
    const doings = STEP_NAMES.map((step) => ({ kind: 'do' as const, step }));
    const anywhere = fc.record({
      doing: fc.constantFrom(...doings),
      via: fc.constantFrom('none', 'precopy', 'postcopy'),
      copies: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(anywhere, async (given) => {
        const context = partsAt(() => ({ ...given, isOpen: false }));
        const { doing, via, copies } = given;
        const isGuarded = doing.step === 'switchover' && via === 'postcopy' && copies;
        if (isGuarded) await assert.rejects(guardPostcopy(context, signal), isLostPath);
        else await guardPostcopy(context, signal);
      }),
    );
  });
});

test('copies without a path fail the step; a guest without copies needs none', () => {
  for (const copies of [false, true]) {
    for (const isOpen of [false, true]) {
      const context = partsAt(() => ({ copies, isOpen }));
      if (copies && !isOpen) assert.throws(() => assertDisksOpen(context), isLostPath);
      else assertDisksOpen(context);
    }
  }
});

test('a stop that failed at the source fails post-copy with copies, and nothing else', async () => {
  for (const via of ['precopy', 'postcopy'] as const) {
    for (const copies of [false, true]) {
      for (const reason of [undefined, 'flush failed']) {
        const stopped = assertStopped(
          partsAt(() => ({ via, copies, reason })),
          signal,
        );
        const fails = via === 'postcopy' && copies && reason !== undefined;
        if (fails) {
          await assert.rejects(stopped, (thrown) => {
            assert.ok(hasCode(thrown, 'GODWIT_STREAM_FAILED'));
            assert.match(thrown.message, /flush failed/);
            return true;
          });
        } else await stopped;
      }
    }
  }
});

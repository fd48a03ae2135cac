import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../../../../src/errors.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { STEP_NAMES } from '../../../../../src/migration/direct/source/steps.ts';
import {
  assertDisksOpen,
  assertStopped,
  finishDisks,
  guardPostcopy,
  untilLinked,
} from '../../../../../src/mover/direct/source/stream/guard-postcopy.ts';
import type { StepContext } from '../../../../../src/mover/direct/source/ports.ts';
import { COPY, planned } from '../../../../migration/direct/samples.ts';

const signal = AbortSignal.timeout(10_000);
const isLostPath = (thrown: unknown): boolean => hasCode(thrown, 'GODWIT_DISK_FAILED');

interface Setup {
  readonly doing?: SourceState['doing'];
  readonly via?: SourceState['via'];
  /** The guest has disks that are copied. */
  readonly copies?: boolean;
  /** Their path stands; and: the guest is paused, and what is left of them goes. */
  readonly isOpen?: boolean;
  readonly isFinishing?: boolean;
  /** The path has had no link for so long, ms. */
  readonly cutForMs?: number | undefined;
  readonly roundTripMs?: number;
  /** Why the hypervisor's stop has failed, where it has. */
  readonly reason?: string | undefined;
}

const AT_SWITCH = {
  doing: { kind: 'do', step: 'switchover' },
  via: 'postcopy',
  copies: true,
} as const;

/** A migration that is at `now` whenever it is looked at; `finish` ends its copies, and `abort` their path. */
function partsAt(
  now: () => Setup,
  { finish, abort }: { finish?: () => Promise<void>; abort?: () => void } = {},
): StepContext {
  const context: unknown = {
    state: () => {
      const { doing, via, copies = false } = now();
      const known = copies ? { copies: [COPY] } : {};
      const state = { ...initialSource(planned({ mode: 'postcopy' })).state, known };
      return { ...state, ...(doing === undefined ? {} : { doing }), via: via ?? 'none' };
    },
    disks: {
      copies: {
        get isOpen() {
          return now().isOpen ?? false;
        },
        get isFinishing() {
          return now().isFinishing ?? false;
        },
        get link() {
          const { cutForMs, roundTripMs = 1 } = now();
          return { cutForMs, roundTripMs };
        },
        finish,
        abort,
      },
    },
    request: { request: { guest: 'web1' } },
    hypervisor: { session: async () => ({ status: async () => ({ reason: now().reason }) }) },
  };
  return context as StepContext;
}

describe('the switch to post-copy with copies', () => {
  test('the switch to post-copy with copies is guarded until the hypervisor holds the guest', async () => {
    for (const over of [
      { ...AT_SWITCH, isOpen: true, isFinishing: true },
      { ...AT_SWITCH, doing: { kind: 'undo', step: 'switchover' } },
      { ...AT_SWITCH, doing: { kind: 'do', step: 'commit' } },
    ] as const) {
      let looks = 0;
      await guardPostcopy(
        partsAt(() =>
          (looks += 1) > 12 ? { isOpen: true, ...over } : { ...AT_SWITCH, isOpen: true },
        ),
        signal,
      );
      assert.ok(looks > 12);
    }
  });

  test('the switch to post-copy fails as soon as the path of the copies is lost', async () => {
    let looks = 0;
    const context = partsAt(() => ({ ...AT_SWITCH, isOpen: (looks += 1) < 12 }));
    await assert.rejects(guardPostcopy(context, signal), isLostPath);
  });

  test('the switch to post-copy fails, and closes the path, after a long time without a link', async () => {
    for (const [roundTripMs, allowedMs] of [
      [1, 104],
      [50, 300],
      [2000, 1000],
    ] as const) {
      let aborts = 0;
      const guarded = (cutForMs: number): Promise<void> => {
        const looks = { left: 20 };
        const context = partsAt(
          () => {
            looks.left -= 1;
            const isOver = looks.left < 0;
            return { ...AT_SWITCH, isOpen: true, isFinishing: isOver, cutForMs, roundTripMs };
          },
          { abort: () => void (aborts += 1) },
        );
        return guardPostcopy(context, signal);
      };
      await guarded(allowedMs);
      assert.equal(aborts, 0);
      await assert.rejects(guarded(allowedMs + 1), isLostPath);
      assert.equal(aborts, 1);
    }
  });

  test('the switch to post-copy does not begin before the path has a link, even if it never gets one', async () => {
    let looks = 0;
    const cut = partsAt(() => {
      looks += 1;
      return { copies: true, isOpen: true, cutForMs: looks > 6 ? undefined : 5000 };
    });
    await untilLinked(cut, signal);
    assert.ok(looks > 6);
    let tries = 0;
    const lost = partsAt(() => ({ copies: true, isOpen: (tries += 1) < 6, cutForMs: 5000 }));
    await assert.rejects(untilLinked(lost, signal), isLostPath);
    await untilLinked(
      partsAt(() => ({})),
      signal,
    );
  });

  test('the switch to post-copy is guarded no longer than its step', async () => {
    const abort = new AbortController();
    const over = guardPostcopy(
      partsAt(() => ({ ...AT_SWITCH, isOpen: true })),
      abort.signal,
    );
    abort.abort();
    await assert.rejects(over, { name: 'AbortError' });
  });

  test('only the switch to post-copy with copies is guarded: no other step, and not pre-copy', async () => {
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

describe('the end of copies', () => {
  const never = new Promise<void>(() => {});

  test('the end of copies is done once they have been ended, and fails with them', async () => {
    const whole = (): Setup => ({ copies: true, isOpen: true });
    await finishDisks(partsAt(whole, { finish: async () => {} }), signal);
    const finish = async (): Promise<never> => {
      throw new Error('no room');
    };
    await assert.rejects(finishDisks(partsAt(whole, { finish }), signal), /no room/);
  });

  test('the end of copies is not awaited if their path has had no link for too long', async () => {
    let aborted = 0;
    const cut = partsAt(() => ({ copies: true, isOpen: true, cutForMs: 5000 }), {
      finish: () => never,
      abort: () => void (aborted += 1),
    });
    await assert.rejects(finishDisks(cut, signal), isLostPath);
    assert.equal(aborted, 1);
  });

  test('the end of copies is awaited no longer than its step; a guest without copies skips it', async () => {
    const over = new AbortController();
    const ending = finishDisks(
      partsAt(() => ({ copies: true, isOpen: true }), { finish: () => never }),
      over.signal,
    );
    over.abort(new Error('the step is over'));
    await assert.rejects(ending, /the step is over/);
    await finishDisks(
      partsAt(() => ({}), { finish: () => never }),
      signal,
    );
  });
});

test('disk copies without a path fail the step; a guest without copies needs none', () => {
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

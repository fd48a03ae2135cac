import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import fc from 'fast-check';
import { godwitError, hasCode } from '../../../../../src/errors.ts';
import type { Fencing } from '../../../../../src/host/fencing.ts';
import { HALT_KINDS } from '../../../../../src/protocol/guest-halt.ts';
import type { Halt } from '../../../../../src/migration/guest-changes/run-states.ts';
import { proof, sourceRight } from '../../../../../src/migration/direct/run-right.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { transition } from '../../../../../src/migration/direct/source/transition.ts';
import type { ResolvedEvent } from '../../../../../src/migration/direct/source/resolve.ts';
import type { StepContext } from '../../../../../src/mover/direct/source/ports.ts';
import {
  permissionHere,
  refusalOrProof,
  takeBackClaim,
} from '../../../../../src/mover/direct/source/guest/permission.ts';
import { regain } from '../../../../../src/mover/direct/source/guest/regain.ts';
import { isMoverThere } from '../../../../../src/mover/direct/source/release.ts';
import { fleetOf } from '../../fleets.ts';
import { planned } from '../../../../migration/direct/samples.ts';
import { answer, peerOf, timeOf, type Answer } from '../answers.ts';
import { unreachable } from '../unreachable.ts';

const NOW = { bootId: 'boot-1', uptimeMs: 100_000 };

const proved = (kind: SourceState['decision']['proof'], at = NOW) => ({
  closedByProof: kind !== 'none',
  decision: { proof: kind, answersFor: [], at },
});

/** A guest that is paused here, whose stream broke off, in a migration that is at `known`. */
async function taken(
  known: Partial<SourceState>,
  halt?: Halt,
): Promise<'resumed' | 'held' | 'left'> {
  let resumed = false;
  let held = false;
  const session = {
    cancel: async () => ({ run: 'paused', stream: 'failed', ...(halt && { halt }) }),
    resumeGuest: async () => {
      resumed = true;
    },
  };
  const context: unknown = {
    hypervisor: { session: async () => session },
    request: { request: { guest: 'web1' } },
    state: () => ({ ...initialSource(planned()).state, ...known }),
    peer: { resume: () => undefined, call: async () => undefined },
    host: { fenceMs: 0, bootTime: () => NOW, fleet: fleetOf() },
  };
  try {
    await regain(context as StepContext, new AbortController().signal);
  } catch (thrown) {
    assert.ok(hasCode(thrown, 'GODWIT_HELD'));
    held = true;
  }
  if (held) return 'held';
  return resumed ? 'resumed' : 'left';
}

describe('a broken stream with a paused guest', () => {
  test('a broken stream with a paused guest continues the guest if no commit was sent', async () => {
    assert.equal(await taken({ right: 'armed', via: 'postcopy' }), 'resumed');
  });

  test('a paused guest stays stopped if post-copy may have run it, and only a proof closed the epoch', async () => {
    const proofs = ['fenced', 'operator', 'observed'] as const;
    for (const proof of proofs) {
      assert.equal(await taken({ right: 'abandoned', via: 'postcopy', ...proved(proof) }), 'held');
    }
  });

  test('a paused guest continues if the destination itself refused, or only a proof is needed', async () => {
    assert.equal(await taken({ right: 'abandoned', via: 'postcopy' }), 'resumed');
    assert.equal(
      await taken({ right: 'abandoned', via: 'precopy', ...proved('fenced') }),
      'resumed',
    );
  });
});

describe('a guest stopped for an unrelated reason', () => {
  test("an unrelated stop is kept by the rollback, on its owner's order or by the guest's state", async () => {
    for (const kind of HALT_KINDS) {
      for (const right of ['armed', 'abandoned'] as const) {
        assert.equal(await taken({ right, halted: { kind } }), 'left', kind);
        assert.equal(await taken({ right, halted: { kind } }, { kind }), 'left', kind);
      }
    }
  });

  test('an unrelated stop differs from a pause of the switch, even for a mover that saw no event', async () => {
    for (const kind of HALT_KINDS) {
      assert.equal(
        await taken({ right: 'armed' }, { kind }),
        kind === 'paused' ? 'resumed' : 'left',
      );
    }
  });
});

/** As a guest that was not handed over is taken back. */
const mayRunHere = (context: StepContext, signal: AbortSignal) =>
  permissionHere(context, takeBackClaim(context.state(), false), refusalOrProof, signal);

describe('a guest that continues here', () => {
  const silent = unreachable;
  const refusals = fc.constantFrom<Answer<object>>(
    { refused: true },
    silent,
    new Error('it says no'),
  );
  const fencings = fc.constantFrom<Fencing | undefined>(
    { off: true, by: 'the hook' },
    { off: false, why: 'the hook says nothing' },
    undefined,
  );
  const proofs = fc.constantFrom(...(['none', ...proof.options] as const));

  /** Whether it may, and whom that took. */
  async function here(
    known: Partial<SourceState>,
    refusal: Answer<object>,
    fencing: Fencing | undefined,
    work: (context: StepContext, signal: AbortSignal) => Promise<unknown> = mayRunHere,
  ) {
    const asked: string[] = [];
    const stream = known.via === 'postcopy' ? 'postcopy-paused' : 'completed';
    const session = {
      cancel: async () => ({ run: 'handed-over', stream }),
      resumeGuest: async () => void asked.push('run'),
    };
    const refuse = (_: object, { signal }: { signal: AbortSignal }): Promise<object> => {
      asked.push('refuse');
      return answer(refusal, signal);
    };
    const context: unknown = {
      hypervisor: { session: async () => session },
      request: { id: 'm-00000001', request: { guest: 'web1' } },
      state: () => ({ ...initialSource(planned()).state, ...known }),
      peer: peerOf({ refuse }),
      host: {
        fenceMs: 0,
        bootTime: () => NOW,
        fleet: fleetOf(),
        fence: async () => {
          asked.push('fence');
          return fencing;
        },
      },
    };
    const may = await work(context as StepContext, new AbortController().signal).then(
      () => true,
      (error: unknown) => {
        assert.ok(hasCode(error, 'GODWIT_HELD'), String(error));
        return false;
      },
    );
    return { may, asked };
  }

  test('a guest continues only if no commit was sent, or the destination refused, or it is proved off', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...sourceRight.options),
        proofs,
        refusals,
        fencings,
        async (right, by, refusal, fencing) => {
          const { may, asked } = await here({ right, ...proved(by) }, refusal, fencing);
          const isSent = right === 'committing' || right === 'passed';
          if (by === 'none' && !isSent) return assert.deepEqual([may, asked], [true, []]);
          if (by !== 'none') return assert.deepEqual([may, asked], [right !== 'passed', []]);
          const hasRefused = !(refusal instanceof Error);
          const isOff = refusal === silent && fencing?.off === true;
          assert.equal(may, right !== 'passed' && (hasRefused || isOff));
          // Only what is dark is fenced: one that answers is not off.
          assert.deepEqual(asked, refusal === silent ? ['refuse', 'fence'] : ['refuse']);
        },
      ),
    );
  });

  test("a guest is resumed after post-copy only by the destination's refusal: a host that is off may have run it", async () => {
    const off: Fencing = { off: true, by: 'the hook' };
    const known = { right: 'committing', via: 'postcopy' } as const;
    const dark = await here(known, silent, off, regain);
    assert.deepEqual(dark, { may: false, asked: ['refuse'] });
    const refused = await here(known, { refused: true }, off, regain);
    assert.deepEqual(refused, { may: true, asked: ['refuse', 'run'] });
    const precopy = await here({ ...known, via: 'precopy' }, silent, off, regain);
    assert.deepEqual(precopy, { may: true, asked: ['refuse', 'fence', 'run'] });
  });
});

describe('possibly stale memory', () => {
  const places = [{ node: 'data', pool: 'p', path: 'data' }];
  const HOOK = { bootId: NOW.bootId, uptimeMs: NOW.uptimeMs };
  const sent = { ...initialSource(planned()).state, known: { places } };
  const committing: SourceState = {
    ...sent,
    right: 'committing',
    via: 'precopy',
    doing: { kind: 'undo', step: 'switchover' },
  };
  /** Taken back by the hook's proof, and held with the reason. */
  const fenced = transition(committing, {
    type: 'fenced',
    host: 'b',
    by: 'the hook',
    ...HOOK,
  }).state;
  const held: SourceState = { ...fenced, doing: { kind: 'end', outcome: 'held' } };

  const ordered = (
    state: SourceState,
    proof: ResolvedEvent['proof'],
    insists: boolean,
  ): SourceState =>
    transition(state, {
      type: 'resolved',
      runAt: 'source',
      proof,
      by: 'ann',
      here: 'handed-over',
      ...HOOK,
      ...(insists && { insists: true as const }),
    }).state;

  test('possibly stale memory is held by a proof, and by each order that does not insist', async () => {
    assert.equal(await taken(fenced), 'held');
    for (const proof of ['ask', 'observed', 'fenced'] as const)
      assert.equal(await taken(ordered(held, proof, false)), 'held', proof);
  });

  test('possibly stale memory continues once an operator insists, whatever the order is based on', async () => {
    for (const proof of ['ask', 'observed', 'fenced', 'operator'] as const)
      assert.equal(await taken(ordered(held, proof, true)), 'resumed', proof);
  });

  test('possibly stale memory stays held on the first insisting order, until the operator saw the risk', async () => {
    const first: SourceState = { ...committing, doing: { kind: 'end', outcome: 'held' } };
    assert.equal(await taken(ordered(first, 'fenced', true)), 'held');
  });
});

describe("the destination's mover", () => {
  const facts = { peer: 'b', address: '10.0.0.2:7443', reason: 'it starts again' };
  const away = godwitError('GODWIT_UNREACHABLE', facts);

  function locating(t: TestContext, locate: (times: number) => Promise<boolean>) {
    const { now } = timeOf(t);
    let times = 0;
    const context: unknown = {
      request: { id: 'm-00000001' },
      peer: { locate: () => locate((times += 1)) },
    };
    const found = isMoverThere(context as StepContext, new AbortController().signal);
    return { found, now, times: () => times };
  }

  test("the destination's mover is asked for again while its agent is briefly away", async (t) => {
    for (const there of [true, false]) {
      await t.test(String(there), async (inner) => {
        const answers = async (times: number): Promise<boolean> => {
          if (times < 4) throw away;
          return there;
        };
        assert.equal(await locating(inner, answers).found, there);
      });
    }
  });

  test("the destination's mover is not asked for longer than an agent's restart, nor after an answer", async (t) => {
    const { found, now, times } = locating(t, async () => Promise.reject(away));
    await assert.rejects(found, away);
    assert.ok(times() > 10 && now() >= 10_000 && now() < 11_000, `${times()} in ${now()} ms`);
    const other = new Error('it may not know');
    let asked = 0;
    const context: unknown = {
      request: { id: 'm-00000001' },
      peer: {
        locate: async () => {
          asked += 1;
          throw other;
        },
      },
    };
    await assert.rejects(isMoverThere(context as StepContext, t.signal), other);
    assert.equal(asked, 1);
  });
});

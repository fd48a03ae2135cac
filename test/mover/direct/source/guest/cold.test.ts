import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError, hasCode } from '../../../../../src/errors.ts';
import type { HostAnswer } from '../../../../../src/migration/permission/host-answer.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../../src/migration/direct/source/source-state.ts';
import type { BootTime } from '../../../../../src/migration/boot-time.ts';
import {
  endSource,
  shutDown,
  startAgain,
} from '../../../../../src/mover/direct/source/guest/cold.ts';
import type { HostDoubts } from '../../../../../src/protocol/public/resolve.ts';
import type { StepContext } from '../../../../../src/mover/direct/source/ports.ts';
import { planned } from '../../../../migration/direct/samples.ts';
import { fleetOf } from '../../fleets.ts';
import { turn } from '../answers.ts';

const signal = new AbortController().signal;
const LAUNCH = { argv: ['qemu'] };
const NO_STORAGE = { name: 'a', storage: [] };
const GONE = godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest: 'web1', reason: 'x' });

/** A guest whose hypervisor is `run`; what was done with it. */
function coldMove(
  run: string,
  known: Partial<SourceState> = {},
  can = true,
  { bootId = 'boot-1', fleet = fleetOf(), refuses = false, halt = {} } = {},
) {
  const calls: string[] = [];
  const down = Promise.withResolvers<void>();
  const kept = Promise.withResolvers<void>();
  const note = (call: string) => async () => void calls.push(call);
  const session = {
    status: async () => ({ run, stream: 'none', ...halt }),
    quit: note('quit'),
    startAgain: async (withinMs: number) => void calls.push(`start again within ${withinMs}`),
    shutDown: () => (calls.push('shut down'), down.promise),
  };
  const context: unknown = {
    hypervisor: {
      session: async () => {
        if (run === 'no session') throw GONE;
        return can ? session : { status: session.status };
      },
      relaunch: async (launch: unknown) => void calls.push(`launch ${JSON.stringify(launch)}`),
    },
    disks: { copies: { keep: () => (calls.push('keep'), kept.promise), finish: note('finish') } },
    request: { id: 'm-00000001', request: { guest: 'web1' }, handle: { name: 'web1' } },
    state: () => ({ ...initialSource(planned({ mode: 'cold' })).state, ...known }),
    peer: {
      resume: () => {},
      call: async () => {
        calls.push('ask for the refusal');
        if (refuses) return {};
        throw godwitError('GODWIT_NOT_ARMED', { host: 'b', guest: 'web1', epoch: 17, reason: 'x' });
      },
    },
    host: {
      config: NO_STORAGE,
      fenceMs: 0,
      bootTime: () => ({ bootId, uptimeMs: 100_000 }),
      fleet,
    },
  };
  return { context: context as StepContext, calls, down, kept };
}

describe('a cold move', () => {
  test('a cold move copies the disks during the shutdown, and finishes them once both are over', async () => {
    const { context, calls, down, kept } = coldMove('running');
    const over = shutDown(context, signal);
    await turn();
    assert.deepEqual(calls, ['shut down', 'keep']);
    kept.resolve();
    await turn();
    assert.equal(calls.length, 2);
    down.resolve();
    await over;
    assert.deepEqual(calls, ['shut down', 'keep', 'finish']);
  });

  test('a cold move fails without finishing the disks if the guest does not shut down', async () => {
    const { context, calls, down, kept } = coldMove('running');
    const over = shutDown(context, signal);
    kept.resolve();
    down.reject(GONE);
    await assert.rejects(over, GONE);
    assert.ok(!calls.includes('finish'));
  });

  test('a cold move is given up at once if the owner has paused the guest, which would not shut down', async () => {
    const { context, calls } = coldMove('paused', {}, true, { halt: { halt: { kind: 'paused' } } });
    await assert.rejects(shutDown(context, signal), (thrown: unknown) =>
      hasCode(thrown, 'GODWIT_GUEST_HALTED'),
    );
    assert.deepEqual(calls, []);
  });

  test('a cold move is refused by name if the driver cannot shut a guest down', async () => {
    const { context, calls } = coldMove('running', {}, false);
    const refused = (thrown: unknown) => hasCode(thrown, 'GODWIT_CAPABILITY');
    await assert.rejects(shutDown(context, signal), refused);
    assert.deepEqual(calls, []);
  });

  test('a cold move ends the hypervisor here, once', async () => {
    const there = coldMove('shut-down');
    await endSource(there.context.hypervisor, signal);
    assert.deepEqual(there.calls, ['quit']);
    const gone = coldMove('no session');
    await endSource(gone.context.hypervisor, signal);
    assert.deepEqual(gone.calls, []);
  });
});

describe('a returned guest', () => {
  test('a returned guest is started by its hypervisor if that is there, off or shutting down', async () => {
    for (const run of ['running', 'shut-down', 'paused']) {
      const { context, calls } = coldMove(run);
      await startAgain(context, signal);
      assert.deepEqual(calls, ['start again within 60000']);
    }
  });

  test('a returned guest is launched with its old settings if its hypervisor has ended', async () => {
    for (const run of ['gone', 'no session']) {
      const { context, calls } = coldMove(run, { known: { launch: LAUNCH } });
      await startAgain(context, signal);
      assert.deepEqual(calls, [`launch ${JSON.stringify(LAUNCH)}`]);
      const unknown = coldMove(run);
      const refused = (thrown: unknown) => hasCode(thrown, 'GODWIT_CAPABILITY');
      await assert.rejects(startAgain(unknown.context, signal), refused);
    }
  });

  test('a returned guest is not started if the destination may run it and does not refuse', async () => {
    for (const run of ['shut-down', 'gone', 'no session']) {
      for (const right of ['committing', 'passed'] as const) {
        const { context, calls } = coldMove(run, { right, known: { launch: LAUNCH } });
        await assert.rejects(startAgain(context, signal), (thrown) =>
          hasCode(thrown, 'GODWIT_HELD'),
        );
        assert.deepEqual(calls, ['ask for the refusal']);
      }
    }
  });
});

describe('a returned guest after a reboot', () => {
  const known = { right: 'committing', known: { launch: LAUNCH } } as const;
  const after = (
    answers: Readonly<Record<string, HostAnswer>>,
    more: Partial<SourceState> = {},
  ) => {
    const fleet = fleetOf(answers);
    const restarted = { bootId: 'boot-2', fleet, refuses: true };
    return { fleet, ...coldMove('gone', { ...known, ...more }, true, restarted) };
  };
  const nothing: HostAnswer = { is: 'without' };

  test('a returned guest is launched after a reboot only if the destination refuses and others are clear', async () => {
    const { context, calls, fleet } = after({ b: nothing, c: nothing, d: nothing });
    await startAgain(context, signal);
    assert.deepEqual(calls, ['ask for the refusal', `launch ${JSON.stringify(LAUNCH)}`]);
    assert.deepEqual(fleet.asked, ['b', 'c', 'd']);
  });

  test('a returned guest is not launched if its destination has refused it and recovered it since', async () => {
    const { context, calls } = after({ b: { is: 'has', why: 'has it (running)' }, c: nothing });
    await assert.rejects(startAgain(context, signal), (thrown) => {
      assert.ok(hasCode(thrown, 'GODWIT_RUNS_ELSEWHERE'));
      assert.match(thrown.message, /b has it \(running\)/);
      return true;
    });
    assert.deepEqual(calls, ['ask for the refusal']);
  });

  test('a returned guest is not launched if a third host has recovered it', async () => {
    const { context, calls } = after({ b: nothing, c: { is: 'has', why: 'has it (running)' } });
    await assert.rejects(startAgain(context, signal), (thrown) => {
      assert.ok(hasCode(thrown, 'GODWIT_RUNS_ELSEWHERE'));
      assert.match(thrown.message, /c has it \(running\)/);
      return true;
    });
    assert.deepEqual(calls, ['ask for the refusal']);
  });

  test('a returned guest is held while a third host is silent, until an operator answers in this boot', async () => {
    const answers = { b: nothing, c: { is: 'silent', why: 'dark' } } as const;
    const { context, calls } = after(answers);
    await assert.rejects(startAgain(context, signal), { code: 'GODWIT_HELD' });
    assert.deepEqual(calls, ['ask for the refusal']);
    const saidAt = (at: BootTime | undefined) =>
      after(answers, {
        right: 'abandoned',
        closedByProof: true,
        decision: { proof: 'operator', answersFor: [{ host: 'c', doubts: ['no answer'] }], at },
      });
    const tooOld = [
      undefined,
      { bootId: 'boot-1', uptimeMs: 99_000 },
      { bootId: 'boot-2', uptimeMs: 39_000 },
    ];
    for (const at of tooOld) {
      const earlier = saidAt(at);
      await assert.rejects(startAgain(earlier.context, signal), { code: 'GODWIT_HELD' });
      assert.deepEqual(earlier.calls, ['ask for the refusal']);
    }
    const now = saidAt({ bootId: 'boot-2', uptimeMs: 41_000 });
    await startAgain(now.context, signal);
    assert.deepEqual(now.calls, [`launch ${JSON.stringify(LAUNCH)}`]);
  });

  test('a returned guest is held if a host that the operator saw as silent may have it after all', async () => {
    const at = { bootId: 'boot-2', uptimeMs: 100_000 };
    const silent = [{ host: 'c', doubts: ['no answer'] }];
    const recovers = ['migration m-00000009'];
    const said = (answersFor: HostDoubts[]) =>
      after(
        { b: nothing, c: { is: 'may-have', why: 'recovers it', doubts: recovers } },
        {
          right: 'abandoned',
          closedByProof: true,
          decision: { proof: 'operator', answersFor, at },
        },
      );
    const before = said(silent);
    await assert.rejects(startAgain(before.context, signal), { code: 'GODWIT_HELD' });
    assert.deepEqual(before.calls, []);
    const now = said([{ host: 'c', doubts: recovers }]);
    await startAgain(now.context, signal);
    assert.deepEqual(now.calls, [`launch ${JSON.stringify(LAUNCH)}`]);
  });

  test('a returned guest is held while its destination may have it, even with a valid proof', async () => {
    const at = { bootId: 'boot-2', uptimeMs: 100_000 };
    const word = (answersFor: HostDoubts[]) =>
      ({
        right: 'abandoned',
        closedByProof: true,
        decision: { proof: 'observed', answersFor, at },
      }) as const;
    const silent: HostAnswer = { is: 'silent', why: 'dark' };
    const recovers = ['migration m-00000009'];
    for (const b of [silent, { is: 'may-have', why: 'recovers it', doubts: recovers }] as const) {
      const { context, calls } = after({ b, c: nothing }, word([]));
      await assert.rejects(startAgain(context, signal), { code: 'GODWIT_HELD' });
      assert.deepEqual(calls, []);
    }
    const named = after({ b: silent, c: nothing }, word([{ host: 'b', doubts: ['no answer'] }]));
    await startAgain(named.context, signal);
    assert.deepEqual(named.calls, [`launch ${JSON.stringify(LAUNCH)}`]);
  });
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { godwitError, hasCode } from '../../../../../src/errors.ts';
import type { GuestHandle } from '../../../../../src/port/inventory.ts';
import type { Fencing } from '../../../../../src/host/fencing.ts';
import {
  initialSource,
  type SourceState,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { guestEndingMs } from '../../../../../src/migration/direct/source/ending-times.ts';
import { relaunch, restartGuest } from '../../../../../src/mover/direct/source/guest/restart.ts';
import type { StepContext } from '../../../../../src/mover/direct/source/ports.ts';
import { planned, withDisk } from '../../../../migration/direct/samples.ts';
import { answer, peerOf, waitsFor, type Answer } from '../answers.ts';
import { unreachable } from '../unreachable.ts';
import { overlayOf } from '../../../../disks/backing/images.ts';
import { granted } from '../../../../migration/permission/granted.ts';
import { tempDir } from '../../../../rpc/test-contract.ts';
import { fleetOf } from '../../fleets.ts';

const NOW = { bootId: 'boot-1', uptimeMs: 100_000 };

const LAUNCH = { driver: 'fake', name: 'web1' };
const HANDLE = { driver: 'fake', name: 'web1' } as unknown as GuestHandle;

const notArmed = godwitError('GODWIT_NOT_ARMED', {
  host: 'b',
  guest: 'web1',
  epoch: 17,
  reason: 'all of it is there',
});
const lost = godwitError('GODWIT_HYPERVISOR_LOST', {
  guest: 'web1',
  side: 'source',
  reason: 'it has ended',
});
const NO_STORAGE = { name: 'a', storage: [] };
const OFF: Fencing = { off: true, by: 'the hook' };
const MAYBE_ON: Fencing = { off: false, why: 'the hook says nothing' };

interface Setup {
  readonly isLaunchKnown?: boolean;
  readonly proof?: SourceState['decision']['proof'];
  /** What the destination answers when it is to take down what is left. */
  readonly release?: Answer<object>;
  readonly status?: Answer<{ readonly hypervisor: string; readonly state: string }>;
  readonly fencing?: Fencing;
  /** What asking the hypervisor that is left here to end comes to. */
  readonly session?: Error;
  readonly quit?: Answer<object>;
}

/** A guest whose memory is lost, and what is done to have it again, in order. */
function lostGuest(given: Setup) {
  const done: string[] = [];
  const { state } = initialSource(planned());
  const now = {
    ...state,
    decision: { proof: given.proof ?? 'none', answersFor: [], at: NOW },
    known: {
      description: withDisk(),
      ...(given.isLaunchKnown === false ? {} : { launch: LAUNCH }),
    },
  };
  const api = {
    release: ({ body }: { body: { epoch: number; lost: boolean } }, { signal }: CallScope) => {
      done.push(`release ${body.epoch}${body.lost ? ' lost' : ''}`);
      return answer(given.release ?? {}, signal);
    },
    status: (_none: object, { signal }: CallScope) => {
      done.push('status');
      return answer(given.status ?? { hypervisor: 'running', state: 'armed' }, signal);
    },
  };
  const context: unknown = {
    state: () => now,
    request: { id: 'm-1', request: { guest: 'web1' }, handle: HANDLE },
    peer: peerOf(api),
    hypervisor: {
      relaunch: async (launch: unknown) => {
        assert.equal(launch, LAUNCH);
        done.push('relaunch');
        return HANDLE;
      },
      session: async () => {
        if (given.session !== undefined) throw given.session;
        return {
          quit: (signal: AbortSignal) => {
            done.push('quit');
            return answer(given.quit ?? {}, signal);
          },
        };
      },
    },
    network: { restore: async () => undefined },
    host: {
      config: NO_STORAGE,
      fence: async () => {
        done.push('fence');
        return given.fencing;
      },
      bootTime: () => NOW,
      fleet: fleetOf(),
    },
  };
  const ending = (): Promise<GuestHandle> =>
    restartGuest(context as StepContext, new AbortController().signal);
  return { done, ending, endMs: 30_000 + guestEndingMs(now) };
}

interface CallScope {
  readonly signal: AbortSignal;
}

async function refused(given: Setup, why: RegExp): Promise<string[]> {
  const { done, ending } = lostGuest(given);
  await assert.rejects(ending, (thrown) => {
    assert.ok(hasCode(thrown, 'GODWIT_RESTART'));
    assert.match(thrown.message, why);
    return true;
  });
  assert.ok(!done.includes('quit') && !done.includes('relaunch'));
  return done;
}

describe('a guest that lost its memory', () => {
  test("a guest that lost its memory is restarted once the destination's and the local remains have ended", async () => {
    const { done, ending } = lostGuest({});
    assert.equal(await ending(), HANDLE);
    assert.deepEqual(done, ['release 17 lost', 'quit', 'relaunch']);
  });

  test('a guest that lost its memory is not touched if its start settings are unknown', async () => {
    const { done, ending } = lostGuest({ isLaunchKnown: false });
    await assert.rejects(ending, (thrown) => hasCode(thrown, 'GODWIT_RESTART'));
    assert.deepEqual(done, []);
  });

  test("a guest that lost its memory is started without the destination's answer if that is proved off", async () => {
    for (const proof of ['fenced', 'operator', 'observed'] as const) {
      const { done, ending } = lostGuest({ proof, release: unreachable });
      await ending();
      assert.deepEqual(done, ['quit', 'relaunch']);
    }
  });

  test('a guest stays ended as long as all of it is at the destination and may run there', async () => {
    const status = { hypervisor: 'running', state: 'committed' };
    const done = await refused({ release: notArmed, status }, /still there \(running\)/);
    assert.deepEqual(done, ['release 17 lost', 'status']);
  });

  test('a guest is restarted if it was all at the destination and its hypervisor there is gone', async () => {
    for (const status of [
      { hypervisor: 'gone', state: 'committed' },
      { hypervisor: 'paused', state: 'released' },
      { hypervisor: 'paused', state: 'refused' },
    ]) {
      const { done, ending } = lostGuest({ release: notArmed, status });
      await ending();
      assert.deepEqual(done, ['release 17 lost', 'status', 'quit', 'relaunch']);
    }
  });

  test('a guest is restarted if the destination is silent and its host is proved off', async () => {
    const { done, ending } = lostGuest({ release: unreachable, fencing: OFF });
    await ending();
    assert.deepEqual(done, ['release 17 lost', 'fence', 'quit', 'relaunch']);
  });

  test('a guest stays ended if the destination is silent and its host is not proved off', async () => {
    await refused({ release: unreachable }, /nothing proves that it is off$/);
    await refused(
      { release: notArmed, status: unreachable, fencing: MAYBE_ON },
      /nothing proves that it is off: the hook says nothing/,
    );
  });

  test('a guest is not restarted, and no host fenced, if the destination answers with another error', async () => {
    const internal = godwitError('GODWIT_INTERNAL', { what: 'a defect' });
    for (const given of [{ release: internal }, { release: notArmed, status: internal }]) {
      const { done, ending } = lostGuest({ ...given, fencing: OFF });
      await assert.rejects(ending, (thrown) => hasCode(thrown, 'GODWIT_INTERNAL'));
      assert.ok(!done.includes('fence') && !done.includes('relaunch'));
    }
  });

  test('a guest is restarted if nothing of it is left here', async () => {
    const { done, ending } = lostGuest({ session: lost });
    await ending();
    assert.deepEqual(done, ['release 17 lost', 'relaunch']);
    const again = lostGuest({ quit: lost });
    await again.ending();
    assert.deepEqual(again.done, ['release 17 lost', 'quit', 'relaunch']);
  });

  test('a guest is not restarted next to a local copy that does not end', async () => {
    const quit = godwitError('GODWIT_HYPERVISOR', {
      hypervisor: 'fake',
      host: 'a',
      command: 'quit',
      reason: 'it does not end',
    });
    const { done, ending } = lostGuest({ quit });
    await assert.rejects(ending, (thrown) => hasCode(thrown, 'GODWIT_HYPERVISOR'));
    assert.ok(!done.includes('relaunch'));
  });

  test('a restart waits for a slow local hypervisor, for half a minute and the time of its memory', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { done, ending, endMs } = lostGuest({ quit: 'silent' });
    const outcome = ending();
    await waitsFor(t, endMs, outcome);
    await assert.rejects(outcome, (thrown) => hasCode(thrown, 'GODWIT_DEADLINE'));
    assert.ok(!done.includes('relaunch'));
  });

  test('a destination counts as silent if the teardown takes longer than its limit', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { done, ending, endMs } = lostGuest({ release: 'silent', fencing: OFF });
    const outcome = ending();
    await waitsFor(t, endMs, outcome);
    await outcome;
    assert.deepEqual(done, ['release 17 lost', 'fence', 'quit', 'relaunch']);
  });

  test('a destination counts as silent if it does not report within 20 s what became of its copy', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { done, ending } = lostGuest({ release: notArmed, status: 'silent', fencing: OFF });
    const outcome = ending();
    await waitsFor(t, 20_000, outcome);
    await outcome;
    assert.deepEqual(done, ['release 17 lost', 'status', 'fence', 'quit', 'relaunch']);
  });
});

test('a guest is not started again on an image that a snapshot has made a backing file', async (t) => {
  const dir = tempDir(t);
  const disk = path.join(dir, 'web1.raw');
  writeFileSync(disk, 'data');
  const started: unknown[] = [];
  const context: unknown = {
    request: { handle: HANDLE },
    hypervisor: {
      relaunch: async (launch: unknown) => {
        started.push(launch);
        return HANDLE;
      },
    },
    host: { config: NO_STORAGE },
  };
  const launch = { ...LAUNCH, writes: [disk] };
  const start = () =>
    relaunch(context as StepContext, launch, granted('web1'), AbortSignal.timeout(60_000));
  assert.equal(await start(), HANDLE);
  writeFileSync(path.join(dir, 'web1.snap'), overlayOf(disk));
  await assert.rejects(start(), (thrown: Error) => {
    assert.ok(hasCode(thrown, 'GODWIT_DISK_OVERLAID'));
    assert.match(thrown.message, /web1\.snap names .*web1\.raw/);
    return true;
  });
  assert.deepEqual(started, [launch]);
});

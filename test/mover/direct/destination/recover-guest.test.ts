import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../../../src/errors.ts';
import {
  permissionAlone,
  proveOff,
  recoverGuest,
  type Around,
} from '../../../../src/mover/direct/destination/recover-guest.ts';
import type { DestinationMover } from '../../../../src/mover/direct/destination/mover.ts';
import type { StartPermission } from '../../../../src/migration/permission/permission.ts';
import {
  CONFIRMED,
  NOT_OFF,
  NOW,
  OFF,
  around,
  asked,
  type Answer,
  type Scene,
} from './recoveries.ts';

/** The hook's word, once the guest is permitted to start. */
async function provedAlone(request: ReturnType<typeof asked>, scene: Around): Promise<string> {
  const proof = await proveOff(request, scene);
  const permission = await permissionAlone(request, scene, proof);
  permission.mustCover(request.admission.guest);
  return proof.by;
}

const unproved = (why: RegExp) => (thrown: unknown) =>
  hasCode(thrown, 'GODWIT_RECOVERY_UNPROVED') && why.test(thrown.message);

test('silence proves nothing without a fencing hook', async () => {
  const proof = provedAlone(asked(), around({ others: { c: 'has nothing' } }));
  await assert.rejects(proof, unproved(/b has no fencing hook/));
});

test('a guest is alone once its host is off and every other host reports that it does not have it', async () => {
  const scene = {
    fence: { a: OFF },
    others: { c: 'has nothing', d: 'has an ended move' },
  } as const;
  assert.equal(await provedAlone(asked(), around(scene)), 'power is off');
});

test('a silent host that could have the guest is proved off only if that was requested', async () => {
  const scene = { fence: { a: OFF, c: OFF }, others: { c: 'is silent' } } as const;
  const fenced: string[] = [];
  await assert.rejects(provedAlone(asked(), around(scene, fenced)), unproved(/c could have it/));
  assert.deepEqual(fenced, ['a']);
  assert.equal(await provedAlone(asked(['c']), around(scene)), 'power is off');
});

test('a proof that became old while other hosts were asked starts nothing', async () => {
  const scene = { fence: { a: OFF }, others: { c: 'has nothing' } } as const;
  const proof = await proveOff(asked(), around(scene));
  const later = (ms: number): Around => ({
    ...around(scene),
    bootTime: () => ({ ...NOW, uptimeMs: NOW.uptimeMs + ms }),
  });
  await permissionAlone(asked(), later(60_000), proof);
  const tooLate = permissionAlone(asked(), later(60_001), proof);
  await assert.rejects(tooLate, unproved(/a was proved off too long ago/));
});

test('a guest counts as alone only if no host can have it, whatever the answers', async () => {
  const answer = fc.constantFrom<Answer[]>(
    ...([
      'has nothing',
      'has a copy',
      'has an open move',
      'has an ended move',
      'is silent',
    ] as const),
  );
  const fencing = fc.constantFrom(OFF, NOT_OFF);
  await fc.assert(
    fc.asyncProperty(
      fc.record({ c: answer, d: answer, e: answer }),
      fc.record({ a: fencing, c: fencing }),
      fc.boolean(),
      async (others, fence, withC) => {
        const left = withC ? [others.d, others.e] : Object.values(others);
        const isAlone =
          fence.a.off &&
          (!withC || fence.c.off) &&
          left.every((each) => each === 'has nothing' || each === 'has an ended move');
        const proof = provedAlone(asked(withC ? ['c'] : []), around({ fence, others }));
        const found = await proof.then(
          () => true,
          (thrown: unknown) => !hasCode(thrown, 'GODWIT_RECOVERY_UNPROVED'),
        );
        assert.equal(found, isAlone);
      },
    ),
  );
});

/** A destination's mover that stands here, and does what it is told; `fails`: what it cannot do. */
function moverAt(
  stage: string,
  right: string,
  {
    hasRun = false,
    fails = '',
    armedIn = 'boot-1',
    runsUnrecorded = false,
    hypervisor = 'none',
  } = {},
) {
  const did: string[] = [];
  const state = { stage, right, hasRun, armedIn, hypervisor, admission: asked().admission };
  const does = async (what: string): Promise<void> => {
    did.push(what);
    if (what === fails) throw new Error(`it cannot ${what}`);
  };
  const mover = {
    state,
    prepare: () => does('prepare'),
    arm: () => does('arm'),
    decide: (work: (ledger: object) => Promise<void>) =>
      work({
        record: async (event: { type: string; by?: string }) => {
          await does(`record ${event.by ?? event.type}`);
          if (event.type === 'resolved') state.right = 'running';
          if (event.type === 'overruled') state.right = 'refused';
        },
        run: async (_signal: AbortSignal, permission: StartPermission) => {
          permission.mustCover(asked().admission.guest);
          await does('run');
        },
        runsHere: async () => {
          if (fails === 'tell') throw new Error('its monitor does not answer');
          state.hasRun ||= runsUnrecorded;
          return state.hasRun;
        },
        release: (why: string) => does(`release: ${why}`),
        tearDown: () => does('tear down'),
        state: () => state,
      }),
    finish: () => does('finish'),
    release: (_epoch: number, _signal: AbortSignal, how: { because: { code: string } }) =>
      does(`release ${how.because.code}`),
  };
  const recover = (
    scene: Scene,
    fenced: string[] = [],
    confirmed?: typeof CONFIRMED,
  ): Promise<void> => {
    const request = asked([], confirmed);
    return recoverGuest(mover as unknown as DestinationMover, request, around(scene, fenced));
  };
  return { did, recover };
}

describe('recovery of a guest', () => {
  const alone: Scene = { fence: { a: OFF }, others: { c: 'has nothing' } };
  const notAlone: Scene = { fence: { a: OFF }, others: { c: 'has a copy' } };
  const REFUSED = 'release GODWIT_RECOVERY_UNPROVED';

  test('a recovered guest is built, and runs only once the proof that it is alone is recorded', async () => {
    const { did, recover } = moverAt('admitted', 'none');
    await recover(alone);
    assert.deepEqual(did, ['prepare', 'arm', 'record power is off', 'run', 'finish']);
  });

  test('a recovered guest is not started if its host was proved off long after its last confirmation', async () => {
    const stale = 'release GODWIT_STANDBY_STALE';
    const cases = [
      { offAtMs: 301_000, confirmed: CONFIRMED, did: 'record power is off' },
      { offAtMs: 301_001, confirmed: CONFIRMED, did: stale },
      { offAtMs: 8 * 3_600_000, confirmed: CONFIRMED, did: stale },
      // This host was restarted since, so its clock began again.
      {
        offAtMs: 2000,
        confirmed: { ...CONFIRMED, at: { bootId: 'boot-0', uptimeMs: 1000 } },
        did: stale,
      },
      // An operator has seen it.
      { offAtMs: 8 * 3_600_000, confirmed: undefined, did: 'record power is off' },
    ];
    for (const { offAtMs, confirmed, did: expected } of cases) {
      const { did, recover } = moverAt('admitted', 'none');
      await recover({ ...alone, offAtMs }, [], confirmed);
      assert.deepEqual(did.slice(0, 3), ['prepare', 'arm', expected]);
      assert.equal(did.includes('run'), expected !== stale);
    }
  });

  test('a recovered guest is torn down if it may be elsewhere, and never runs', async () => {
    const { did, recover } = moverAt('admitted', 'none');
    await recover(notAlone);
    assert.deepEqual(did, ['prepare', 'arm', REFUSED]);
  });

  test('a recovered guest is torn down if it cannot be built, and no host is fenced for it', async () => {
    const fenced: string[] = [];
    const { did, recover } = moverAt('admitted', 'none', { fails: 'prepare' });
    await recover(alone, fenced);
    assert.equal(did.length, 2);
    assert.match(did[1] ?? '', /^release /);
    assert.deepEqual(fenced, []);
  });

  test('a recovered guest never runs without the record of the proof', async () => {
    const { did, recover } = moverAt('prepared', 'armed', { fails: 'record power is off' });
    await recover(alone);
    assert.deepEqual(did.slice(0, 2), ['arm', 'record power is off']);
    assert.match(did[2] ?? '', /^release /);
    assert.ok(!did.includes('run'));
  });

  test('a mover that takes over before the proof asks again, and does not build the guest twice', async () => {
    const other = moverAt('prepared', 'armed');
    await other.recover(notAlone);
    assert.deepEqual(other.did, ['arm', REFUSED]);
  });

  test('a mover that takes over between the proof and the run proves the guest alone again', async () => {
    const { did, recover } = moverAt('prepared', 'running');
    await recover(alone);
    assert.deepEqual(did, ['record power is off', 'run', 'finish']);
  });

  test('a mover that takes over gives the guest up if its host is on by then, or another host has it', async () => {
    const on: Scene = { fence: { a: NOT_OFF }, others: { c: 'has nothing' } };
    for (const scene of [on, notAlone]) {
      const { did, recover } = moverAt('prepared', 'running');
      await recover(scene);
      assert.deepEqual(did.slice(0, 2), ['record overruled', 'record failed']);
      assert.match(did[2] ?? '', /^release: /);
      assert.equal(did.length, 3);
    }
  });

  test('a recovered guest is never given up once it runs, even if that is unrecorded or unknown', async () => {
    const unrecorded = moverAt('prepared', 'running', { runsUnrecorded: true });
    await unrecorded.recover(notAlone);
    assert.deepEqual(unrecorded.did, ['finish']);
    const unknown = moverAt('prepared', 'running', { fails: 'tell' });
    await assert.rejects(unknown.recover(notAlone), /does not answer/);
    assert.deepEqual(unknown.did, []);
    const ran = moverAt('prepared', 'running', { hasRun: true });
    await ran.recover(notAlone);
    assert.deepEqual(ran.did, ['finish']);
    const broken = moverAt('prepared', 'running', { fails: 'run' });
    await assert.rejects(broken.recover(alone), /it cannot run/);
    assert.deepEqual(broken.did, ['record power is off', 'run']);
  });

  test('a recovery is given up if this host rebooted before the run: another host may have the guest', async () => {
    for (const right of ['armed', 'running']) {
      const fenced: string[] = [];
      const { did, recover } = moverAt('prepared', right, { armedIn: 'boot-0' });
      await recover(alone, fenced);
      assert.deepEqual(did, [
        'record overruled',
        'release: b was restarted before it ran the guest',
      ]);
      assert.deepEqual(fenced, []);
    }
    const ran = moverAt('prepared', 'running', { armedIn: 'boot-0', hasRun: true });
    await ran.recover(alone);
    assert.deepEqual(ran.did, ['finish']);
  });

  test('a recovery is over if the guest ran here and ended since, as it could never be settled', async () => {
    for (const armedIn of ['boot-0', 'boot-1']) {
      const how = { armedIn, hasRun: true, hypervisor: 'gone' };
      const ended = moverAt('prepared', 'running', how);
      await ended.recover(alone);
      assert.deepEqual(ended.did, ['tear down'], armedIn);
    }
  });

  test('an ended recovery is left alone by a mover that takes over', async () => {
    for (const stage of ['finished', 'released']) {
      const { did, recover } = moverAt(stage, 'none');
      await recover(alone);
      assert.deepEqual(did, [], stage);
    }
  });
});

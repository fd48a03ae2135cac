import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hasCode, godwitError } from '../../../../src/errors.ts';
import type { Fencing } from '../../../../src/host/fencing.ts';
import { silentLog } from '../../../../src/log.ts';
import {
  provedAlone,
  recoverGuest,
} from '../../../../src/mover/direct/destination/recover-guest.ts';
import type { DestinationMover } from '../../../../src/mover/direct/destination/mover.ts';
import type { Around } from '../../../../src/mover/direct/destination/recover-guest.ts';
import { destinationMoverRequest } from '../../../../src/protocol/mover/request.ts';
import type { Sighting } from '../../../../src/protocol/peer/sighting.ts';
import { admissionOf } from '../../../protocol/peer/admission.ts';

const OFF: Fencing = { off: true, by: 'power is off' };
const NOT_OFF: Fencing = { off: false, why: 'its power supply does not answer' };
const nothing = (host: string): Sighting => ({ host, copies: [], moves: [] });

/** What another host of the fleet answers; a word: it does not answer. */
type Answer = 'has nothing' | 'has a copy' | 'has an open move' | 'has an ended move' | 'is silent';

const SEEN: Readonly<Record<Exclude<Answer, 'is silent'>, (host: string) => Sighting>> = {
  'has nothing': nothing,
  'has a copy': (host) => ({ ...nothing(host), copies: [{ state: 'paused' }] }),
  'has an open move': (host) => ({ ...nothing(host), moves: [moveAt(host)] }),
  'has an ended move': (host) => ({ ...nothing(host), moves: [{ ...moveAt(host), ended: true }] }),
};

const moveAt = (host: string) => ({
  id: 'm-00000009',
  side: 'destination' as const,
  from: 'a',
  to: host,
  createdAt: '2026-11-24T10:00:00Z',
  lineage: [],
});

const CONFIRMED = {
  at: { bootId: 'boot-1', ms: 1000 },
  number: '0123456789abcdef',
  disks: 'vda: vms/web1.qcow2 (qcow2)',
};

const asked = (off: string[] = [], confirmed?: typeof CONFIRMED) => {
  const preparation = {
    epoch: 1,
    description: {
      driver: 'fake',
      name: 'web1',
      memoryBytes: 1,
      vcpus: 1,
      hypervisorVersion: '1',
      spec: {},
    },
    stream: { mode: 'precopy', streams: 1, compress: 'none', tls: true },
  };
  const request = destinationMoverRequest.parse({
    version: 1,
    id: 'm-00000001',
    side: 'destination',
    fromHost: 'a',
    toHost: 'b',
    createdAt: '2026-11-24T10:00:00Z',
    peer: { name: 'a', address: '10.0.0.1:7000' },
    admission: admissionOf(),
    recovery: { preparation, off, confirmed },
  });
  return { ...request, recovery: request.recovery ?? assert.fail() };
};

interface Scene {
  /** When the proof that a is off has come, since the boot. */
  readonly offAtMs?: number;
  readonly fence?: Readonly<Record<string, Fencing>>;
  readonly others: Readonly<Record<string, Answer>>;
}

function around({ fence, others, offAtMs = 1000 }: Scene, fenced: string[] = []): Around {
  const peers = {
    a: 'a:1',
    ...Object.fromEntries(Object.keys(others).map((host) => [host, host])),
  };
  const connect = (_contract: unknown, host: string) => ({
    api: {
      sighting: async () => {
        const answer = others[host] ?? 'is silent';
        if (answer === 'is silent') {
          const facts = { peer: host, address: host, reason: 'nobody is there' };
          throw godwitError('GODWIT_UNREACHABLE', facts);
        }
        return SEEN[answer](host);
      },
    },
    close: () => undefined,
  });
  return {
    log: silentLog,
    bootId: () => 'boot-1',
    bootMoment: () => ({ bootId: 'boot-1', ms: offAtMs }),
    connect: connect as unknown as Around['connect'],
    peers: () =>
      Object.fromEntries(
        Object.entries(peers).map(([name, address]) => [name, { address, addresses: [] }]),
      ),
    ...(fence === undefined
      ? {}
      : {
          fence: async (host: string) => {
            fenced.push(host);
            return fence[host] ?? NOT_OFF;
          },
        }),
  };
}

const unproved = (why: RegExp) => (thrown: unknown) =>
  hasCode(thrown, 'GODWIT_RECOVERY_UNPROVED') && why.test(thrown.message);

test('without a fencing hook silence proves nothing', async () => {
  const proof = provedAlone(asked(), around({ others: { c: 'has nothing' } }));
  await assert.rejects(proof, unproved(/b has no fencing hook/));
});

test('a guest is alone once its host is off and every other host says that it does not have it', async () => {
  const scene = {
    fence: { a: OFF },
    others: { c: 'has nothing', d: 'has an ended move' },
  } as const;
  assert.equal(await provedAlone(asked(), around(scene)), 'power is off');
});

test('a silent host that could have the guest is proved off only where that was asked for', async () => {
  const scene = { fence: { a: OFF, c: OFF }, others: { c: 'is silent' } } as const;
  const fenced: string[] = [];
  await assert.rejects(provedAlone(asked(), around(scene, fenced)), unproved(/c could have it/));
  assert.deepEqual(fenced, ['a']);
  assert.equal(await provedAlone(asked(['c']), around(scene)), 'power is off');
});

test('whatever hosts answer, a guest counts as alone only where none can have it', async () => {
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
  { hasRun = false, fails = '', armedIn = 'boot-1' } = {},
) {
  const did: string[] = [];
  const state = { stage, right, hasRun, armedIn, admission: asked().admission };
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
          state.right = event.type === 'resolved' ? 'running' : 'refused';
        },
        run: () => does('run'),
        release: (why: string) => does(`release: ${why}`),
        state: () => state,
      }),
    finish: () => does('finish'),
    release: (_epoch: number, _signal: AbortSignal, because: { code: string }) =>
      does(`release ${because.code}`),
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

describe('a guest whose host is dead', () => {
  const alone: Scene = { fence: { a: OFF }, others: { c: 'has nothing' } };
  const notAlone: Scene = { fence: { a: OFF }, others: { c: 'has a copy' } };
  const REFUSED = 'release GODWIT_RECOVERY_UNPROVED';

  test('is built, and runs only once the proof that it is alone is recorded', async () => {
    const { did, recover } = moverAt('admitted', 'none');
    await recover(alone);
    assert.deepEqual(did, ['prepare', 'arm', 'record power is off', 'run', 'finish']);
  });

  test('is not started if its host was proved off long after it confirmed the description: it may have lived until then', async () => {
    const stale = 'release GODWIT_STANDBY_STALE';
    const cases = [
      { offAtMs: 301_000, confirmed: CONFIRMED, did: 'record power is off' },
      { offAtMs: 301_001, confirmed: CONFIRMED, did: stale },
      { offAtMs: 8 * 3_600_000, confirmed: CONFIRMED, did: stale },
      // This host was restarted since, so its clock began again.
      {
        offAtMs: 2000,
        confirmed: { ...CONFIRMED, at: { bootId: 'boot-0', ms: 1000 } },
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

  test('is taken down where it may be elsewhere, and never runs', async () => {
    const { did, recover } = moverAt('admitted', 'none');
    await recover(notAlone);
    assert.deepEqual(did, ['prepare', 'arm', REFUSED]);
  });

  test('is taken down where it cannot be built, and no host is fenced for it', async () => {
    const fenced: string[] = [];
    const { did, recover } = moverAt('admitted', 'none', { fails: 'prepare' });
    await recover(alone, fenced);
    assert.equal(did.length, 2);
    assert.match(did[1] ?? '', /^release /);
    assert.deepEqual(fenced, []);
  });

  test('never runs without the record of the proof', async () => {
    const { did, recover } = moverAt('prepared', 'armed', { fails: 'record power is off' });
    await recover(alone);
    assert.deepEqual(did.slice(0, 2), ['arm', 'record power is off']);
    assert.match(did[2] ?? '', /^release /);
    assert.ok(!did.includes('run'));
  });

  test('is asked about again by a mover that takes over before the proof, and is not built twice', async () => {
    const { did, recover } = moverAt('prepared', 'armed');
    await recover(alone);
    assert.deepEqual(did, ['arm', 'record power is off', 'run', 'finish']);
    const other = moverAt('prepared', 'armed');
    await other.recover(notAlone);
    assert.deepEqual(other.did, ['arm', REFUSED]);
  });

  test('is never given up once the proof is recorded, whatever others say by then', async () => {
    const { did, recover } = moverAt('prepared', 'running');
    await recover(notAlone);
    assert.deepEqual(did, ['run', 'finish']);
    const ran = moverAt('prepared', 'running', { hasRun: true });
    await ran.recover(notAlone);
    assert.deepEqual(ran.did, ['finish']);
    const broken = moverAt('prepared', 'running', { fails: 'run' });
    await assert.rejects(broken.recover(alone), /it cannot run/);
    assert.deepEqual(broken.did, ['run']);
  });

  test('is given up if this host was restarted before it ran: another host may have recovered it', async () => {
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

  test('is left alone by a mover that takes over after its end', async () => {
    for (const stage of ['finished', 'released']) {
      const { did, recover } = moverAt(stage, 'none');
      await recover(alone);
      assert.deepEqual(did, [], stage);
    }
  });
});

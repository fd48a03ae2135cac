import assert from 'node:assert/strict';
import { before, describe, test, type TestContext } from 'node:test';
import { godwitError } from '../../../../src/errors.ts';
import { isReadyThere } from '../../../../src/mover/direct/source/stream/memory-steering.ts';
import type { DestinationStatus } from '../../../../src/protocol/peer/migration.ts';
import { COPY } from '../../../migration/direct/samples.ts';
import { assertMoved } from '../ends.ts';
import { hostsFor, type Hosts } from '../lay-host.ts';
import { Stage } from '../stage.ts';
import { answer, type Answer } from './answers.ts';

const ARMED = { id: 'm-00000001', epoch: 17, state: 'armed', hypervisor: 'incoming' } as const;
const dead = godwitError('GODWIT_UNREACHABLE', { peer: 'b', address: 'b:7', reason: 'refused' });

interface Setup {
  readonly there?: Answer<DestinationStatus>;
  /** The wire has no link. */
  readonly isCut?: boolean;
  readonly disks?: {
    readonly isOpen: boolean;
    readonly areWhole: boolean;
    readonly cutForMs?: number;
  };
}

function asked({ there = ARMED, isCut = false, disks }: Setup, signal = new AbortController()) {
  let questions = 0;
  const api = {
    status: () => {
      questions += 1;
      return answer(there, signal.signal);
    },
  };
  const context: unknown = {
    state: () => ({ known: { copies: disks === undefined ? [] : [COPY] } }),
    peer: { resume: () => {}, once: (question: (api: object) => unknown) => question(api) },
    dataPath: { isCut },
    disks: { ...disks, link: { cutForMs: disks?.cutForMs } },
  };
  return {
    answered: isReadyThere(context as Parameters<typeof isReadyThere>[0], signal.signal),
    questions: () => questions,
  };
}

describe('readiness of the destination', () => {
  test('the destination is ready if its mover answers and waits for the guest; a rehearsal is not armed', async () => {
    assert.equal(await asked({}).answered, true);
    assert.equal(await asked({ there: { ...ARMED, state: 'prepared' } }).answered, true);
  });

  test('the destination is not ready if its mover is silent, gave the guest up, or lost its hypervisor', async () => {
    const others: Answer<DestinationStatus>[] = [
      dead,
      { ...ARMED, state: 'refused' },
      { ...ARMED, state: 'released' },
      { ...ARMED, hypervisor: 'gone' },
    ];
    for (const there of others) assert.equal(await asked({ there }).answered, false);
  });

  test("the destination is not ready while its mover's transport has no link, without a question", async () => {
    const whole = { isOpen: true, areWhole: true };
    assert.equal(await asked({ disks: whole }).answered, true);
    const others: Setup[] = [
      { isCut: true },
      { disks: { ...whole, isOpen: false } },
      { disks: { ...whole, areWhole: false } },
      { disks: { ...whole, cutForMs: 3 } },
    ];
    for (const given of others) {
      const { answered, questions } = asked(given);
      assert.deepEqual([await answered, questions()], [false, 0]);
    }
  });

  test('the destination is not asked for longer than the migration lasts', async () => {
    const over = new AbortController();
    const { answered } = asked({ there: 'silent' }, over);
    over.abort(new Error('the migration has ended'));
    await assert.rejects(answered, /the migration has ended/);
  });
});

let certificates: Hosts;

before(async (t) => {
  certificates = await hostsFor(t as TestContext);
});

describe('a post-copy guest', () => {
  for (const mode of ['postcopy', 'hybrid'] as const) {
    test(`a post-copy guest keeps running while the destination's mover is dead: ${mode}`, async (t) => {
      const stage = await Stage.open(t, certificates, mode);
      const moverAtTheSwitch: boolean[] = [];
      let kills = 1;
      stage.hosts.onCall = (name) => {
        if (name === 'source.sample' && stage.hosts.source.stream === 'active' && kills > 0) {
          kills -= 1;
          stage.killDestination();
        }
        if (name === 'source.startPostcopy') {
          moverAtTheSwitch.push(stage.destination !== undefined);
        }
      };
      assert.equal(await stage.run(), 'done');
      assertMoved(stage);
      assert.deepEqual([kills, moverAtTheSwitch], [0, [true]]);
    });
  }
});

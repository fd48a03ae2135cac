import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  make,
  settle,
  takeDown,
  undoPreparation,
  type TakingDown,
} from '../../../../src/mover/direct/destination/lifecycle.ts';
import { DATA, Death, EPOCH, HITS, PLAN, Witness, type Hit } from './witness.ts';

const never = new AbortController().signal;
/** More than a generated list has interruptions: a call that fails so often fails by itself. */
const MAX_ATTEMPTS = 100;
const ARMED = { type: 'armed', epoch: EPOCH, bootId: 'boot-1' } as const;
const COMMITTED = { type: 'committed', epoch: EPOCH } as const;
const RAN = { type: 'running', epoch: EPOCH, resumeMs: 1 } as const;
const REBOOTED = { type: 'taken-over', pid: 1, neverRan: false } as const;
const OVERRULED = { type: 'overruled', epoch: EPOCH, why: 'its source has it' } as const;

/** How far the source comes before it gives the migration up. */
const LENGTHS = ['admitted', 'seeded', 'prepared', 'copying', 'armed'] as const;
/** What may follow once it is armed, by its records. Its guest may have run and written to its disks. */
const AFTER_ARMED = {
  committed: [COMMITTED],
  ran: [COMMITTED, RAN],
  overruled: [COMMITTED, RAN, OVERRULED],
  rebooted: [REBOOTED],
} as const;
type Length = (typeof LENGTHS)[number] | keyof typeof AFTER_ARMED;
const AFTER = Object.keys(AFTER_ARMED) as (keyof typeof AFTER_ARMED)[];
const ALL: readonly Length[] = [...LENGTHS, ...AFTER];
const goesTo = (length: Length, least: Length): boolean =>
  ALL.indexOf(length) >= ALL.indexOf(least);

/** A destination up to there: a call of its source that failed or whose mover died comes again. */
class Course {
  readonly witness: Witness;
  #mover: ReturnType<Witness['mover']>;

  constructor(hit: (way: string) => Hit) {
    this.witness = new Witness(hit);
    this.#mover = this.witness.mover();
  }

  async run(length: Length): Promise<void> {
    const { witness } = this;
    if (goesTo(length, 'seeded')) {
      witness.journal.push({ type: 'seeding', bases: [], directories: [] });
      witness.comes('backing file');
    }
    if (goesTo(length, 'prepared')) {
      await this.#again(async () => {
        if (witness.state.stage === 'prepared') return;
        await make(this.#mover.ways, this.#mover.ledger, PLAN, never);
      });
      assert.ok(witness.there.has('hypervisor'));
      assert.ok(this.#mover.takesEntries, 'what is prepared takes connections');
      witness.comes('entry');
    }
    if (goesTo(length, 'copying')) witness.comes('tunnel');
    if (goesTo(length, 'armed')) witness.journal.push(ARMED);
    for (const each of AFTER) if (length === each) witness.journal.push(...AFTER_ARMED[each]);
  }

  /** Everything is taken down; the source asks until it is. */
  takeDown(how: Omit<TakingDown, 'why'> = {}): Promise<void> {
    const down = { ...how, why: 'the source asked' };
    return this.#again(async () => {
      if (this.#isOver()) return;
      await takeDown(this.#mover.ways, this.#mover.ledger, down, never);
    });
  }

  settle(): Promise<void> {
    return this.#again(() => settle(this.#mover.ways, this.#mover.ledger, never));
  }

  #isOver(): boolean {
    return this.witness.has('released') || this.witness.has('finished');
  }

  async #again(work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (thrown) {
        if (thrown instanceof assert.AssertionError || attempt > MAX_ATTEMPTS) throw thrown;
        if (thrown instanceof Death) await this.#takeOver();
      }
    }
  }

  /** As the mover's own look round: a half-made preparation is undone, and the source asks for it again. */
  async #takeOver(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      this.#mover = this.witness.mover();
      if (this.witness.state.stage !== 'preparing') return;
      try {
        await undoPreparation(this.#mover.ways, this.#mover.ledger, never);
        const { there, journal } = this.witness;
        const isSeeded = journal.some(({ type }) => type === 'seeding');
        assert.deepEqual([...there], isSeeded ? ['backing file'] : []);
        return;
      } catch (thrown) {
        if (thrown instanceof assert.AssertionError || attempt > MAX_ATTEMPTS) throw thrown;
      }
    }
  }
}

/** Each way is hit in turn as the list says; once it is used up, nothing happens any more. */
function hitsOf(hits: readonly Hit[]): (way: string) => Hit {
  const left = [...hits];
  return () => left.shift() ?? 'none';
}

async function takenDown(
  length: Length,
  hit: (way: string) => Hit,
  how: Omit<TakingDown, 'why'> = {},
): Promise<Witness> {
  const course = new Course(hit);
  await course.run(length);
  await course.takeDown(how);
  const { witness } = course;
  const stays = witness.mayHaveWritten ? DATA : [];
  assert.deepEqual([...witness.there].toSorted(), [...stays].toSorted(), length);
  const hasRun = length === 'ran' || length === 'committed';
  assert.equal(witness.state.stage, hasRun ? 'finished' : 'released');
  return witness;
}

/** The ways of a course on which nothing befalls it. */
async function waysOf(run: (hit: (way: string) => Hit) => Promise<Witness>): Promise<string[]> {
  return [...(await run(() => 'none')).met].map((met) => met.slice(0, -': none'.length));
}

/** Hits one way once. */
function once(way: string, hit: Hit): (taken: string) => Hit {
  let isOver = false;
  return (taken) => {
    if (isOver || taken !== way) return 'none';
    isOver = true;
    return hit;
  };
}

const settled = async (hit: (way: string) => Hit): Promise<Witness> => {
  const course = new Course(hit);
  await course.run('ran');
  await course.settle();
  return course.witness;
};

describe('an interrupted destination', () => {
  test('an interruption at any row leaves only data that the guest may have written, and removes nothing still in use', async () => {
    for (const length of ALL) {
      for (const way of await waysOf((hit) => takenDown(length, hit))) {
        for (const hit of HITS) await takenDown(length, once(way, hit));
      }
    }
  });

  test('many interruptions, in any order, leave nothing else behind either', async () => {
    const hits = fc.array(fc.constantFrom(...HITS), { maxLength: 60 });
    const courses = fc.tuple(fc.constantFrom(...ALL), hits);
    await fc.assert(
      fc.asyncProperty(
        courses,
        async ([length, all]) => void (await takenDown(length, hitsOf(all))),
      ),
      { numRuns: 500 },
    );
  });

  test("an interruption during the settling keeps the guest and ends only the migration's helpers", async () => {
    const ways = await waysOf(settled);
    assert.ok(ways.includes('settle the hypervisor') && ways.includes('keep the image'));
    for (const way of ways) {
      for (const hit of HITS) {
        const { there } = await settled(once(way, hit));
        for (const kept of ['backing file', 'port', 'image', 'hypervisor'] as const)
          assert.ok(there.has(kept), `${way}, ${hit}: the ${kept} has gone`);
        for (const over of ['stream', 'tunnel'] as const)
          assert.ok(!there.has(over), `${way}, ${hit}: the ${over} is there`);
      }
    }
  });
});

test('a destination that armed and then refuses has refused before its hypervisor ends', async () => {
  const { journal } = await takenDown('armed', () => 'none');
  const types = journal.map(({ type }) => type);
  assert.deepEqual(types.slice(-3), ['armed', 'refused', 'released']);
});

test('a destination that forgot whether its guest ran removes its data only if the source sent no commit', async () => {
  for (const way of await waysOf((hit) => takenDown('rebooted', hit, { neverRan: true }))) {
    for (const hit of HITS) {
      const { there } = await takenDown('rebooted', once(way, hit), { neverRan: true });
      assert.deepEqual([...there], []);
    }
  }
  const { met } = await takenDown('rebooted', () => 'none', { mayRefuse: false });
  assert.ok(met.has('set the image aside: none'), 'its name is free for another arrival');
});

test('a guest that ran here and has ended is taken down without a refusal', async () => {
  const { journal } = await takenDown('ran', () => 'none');
  assert.ok(!journal.some(({ type }) => type === 'refused'));
});

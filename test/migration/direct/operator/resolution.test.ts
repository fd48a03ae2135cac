import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { judge, safeAnswer } from '../../../../src/migration/direct/operator/resolution.ts';
import type { GuestSightings } from '../../../../src/migration/direct/operator/guest-sightings.ts';
import type { Answer, SideView } from '../../../../src/protocol/public/resolve.ts';

const base = {
  id: 'm-1',
  guest: 'web1',
  epoch: 17,
  phase: 'held',
  postcopy: false,
  unsure: false,
  moverAlive: false,
} as const;
const source: SideView = {
  ...base,
  host: 'a',
  side: 'source',
  right: 'committing',
  hypervisor: 'handed-over',
  complete: true,
};
const destination: SideView = {
  ...base,
  host: 'b',
  side: 'destination',
  right: 'armed',
  hypervisor: 'paused',
  complete: true,
};

const names = { guest: 'web1', from: 'a', to: 'b' };
/** Every host was asked, and has seen nothing else of the guest. */
const asked: GuestSightings = {
  id: 'm-1',
  since: undefined,
  uuid: undefined,
  sightings: [],
  unasked: [],
};
const dark = (host: string): GuestSightings => ({
  ...asked,
  unasked: [{ host, why: 'no answer' }],
});

function judged(
  here?: Partial<SideView>,
  there?: Partial<SideView>,
  fleet = asked,
): Record<string, Answer> {
  const answers = judge({
    ...names,
    fleet,
    source: here === undefined ? undefined : { ...source, ...here },
    destination: there === undefined ? undefined : { ...destination, ...there },
  });
  return Object.fromEntries(answers.map((answer) => [answer.runAt, answer]));
}

const anySide = (side: 'source' | 'destination'): fc.Arbitrary<SideView | undefined> =>
  fc.option(
    fc
      .record({
        right: fc.constantFrom<SideView['right'][]>(
          ...(side === 'source'
            ? (['held', 'armed', 'committing', 'passed', 'abandoned'] as const)
            : (['none', 'armed', 'running', 'refused'] as const)),
        ),
        hypervisor: fc.constantFrom<SideView['hypervisor'][]>(
          'none',
          'running',
          'paused',
          'incoming',
          'handed-over',
          'gone',
          'unknown',
        ),
        complete: fc.boolean(),
        postcopy: fc.boolean(),
        unsure: fc.boolean(),
        ...(side === 'source' ? {} : { hasRun: fc.boolean() }),
      })
      .map((facts): SideView => ({ ...(side === 'source' ? source : destination), ...facts })),
    { nil: undefined },
  );

describe('risks of each answer', () => {
  test('neither answer is safe if the destination is dark and the commit was sent', () => {
    const answers = judged({});
    assert.equal(answers['source']?.verdict, 'risky');
    assert.match(answers['source']?.risks.join(' ') ?? '', /two copies/);
    assert.equal(answers['destination']?.verdict, 'waits');
    assert.equal(safeAnswer(Object.values(answers)), undefined);
  });

  test('neither answer is certain if the destination is dark and no commit was ever sent', () => {
    const answers = judged({ right: 'armed' }, undefined, dark('b'));
    assert.equal(answers['source']?.verdict, 'unknown');
    assert.equal(answers['source']?.proof, 'observed');
    assert.match(answers['source']?.risks.join() ?? '', /b was not asked/);
  });

  test('a destination that reports that it runs the guest leaves one answer', () => {
    const answers = judged({}, { right: 'running', hypervisor: 'running' });
    assert.equal(answers['source']?.verdict, 'wrong');
    assert.equal(answers['destination']?.verdict, 'safe');
    assert.equal(safeAnswer(Object.values(answers)), 'destination');
  });

  test('both answers are safe if both hosts answer and the guest never ran: the protocol decides', () => {
    const answers = judged({}, {});
    assert.equal(answers['source']?.verdict, 'safe');
    assert.equal(answers['destination']?.verdict, 'safe');
  });

  test('neither answer is safe if a restarted destination without a copy may have run the guest', () => {
    const answers = judged({}, { unsure: true, hypervisor: 'gone', complete: false });
    assert.equal(answers['source']?.verdict, 'risky');
    assert.equal(answers['destination']?.verdict, 'wrong');
  });

  test('a destination that has run the guest makes the source wrong, even once the guest is gone there', () => {
    for (const hypervisor of ['gone', 'none'] as const) {
      const answers = judged({}, { right: 'running', hypervisor, hasRun: true, complete: false });
      assert.equal(answers['source']?.verdict, 'wrong');
      assert.match(answers['source']?.why ?? '', /b has run web1/);
      // Nobody runs it by that: what is left of the migration at the source is ended.
      assert.equal(answers['destination']?.verdict, 'safe');
    }
  });

  test('a destination of an older build that does not report whether it ran makes no answer safe', () => {
    const answers = judged({}, { right: 'running', hypervisor: 'gone', complete: false });
    assert.equal(answers['source']?.verdict, 'risky');
  });

  test("a source that had taken the guest back before may do so again, on an operator's decision", () => {
    const answers = judged(
      { right: 'abandoned' },
      { right: 'refused', hypervisor: 'none', hasRun: true, complete: false },
    );
    assert.equal(answers['source']?.verdict, 'risky');
    assert.match(answers['source']?.risks.join(' ') ?? '', /is lost/);
  });

  test('a destination with a dark source may lose the guest by giving up, or double it by running it', () => {
    const answers = judged(undefined, {});
    assert.equal(answers['source']?.verdict, 'risky');
    assert.equal(answers['destination']?.verdict, 'risky');
    const incomplete = judged(undefined, { hypervisor: 'incoming', complete: false });
    assert.equal(incomplete['source']?.verdict, 'safe');
    assert.equal(incomplete['destination']?.verdict, 'wrong');
  });

  test('the source cannot run the guest again once post-copy has begun', () => {
    const answers = judged({ postcopy: true });
    assert.equal(answers['source']?.verdict, 'wrong');
  });

  test('an answer that a host contradicts is never called safe, and two copies never are', () => {
    fc.assert(
      fc.property(anySide('source'), anySide('destination'), (here, there) => {
        fc.pre(here !== undefined || there !== undefined);
        const answers = judge({ ...names, source: here, destination: there, fleet: asked });
        assert.deepEqual(
          answers.slice(0, 2).map(({ runAt }) => runAt),
          ['source', 'destination'],
        );
        for (const { runAt, verdict, risks, proof } of answers) {
          if (verdict === 'risky') assert.ok(risks.length > 0, 'a risk is named');
          if (verdict === 'safe') assert.notEqual(proof, 'none');
          const runsThere = there?.right === 'running' && there.hypervisor === 'running';
          if (runAt === 'source' && runsThere) assert.equal(verdict, 'wrong');
          if (runAt === 'source' && there?.hasRun === true) {
            assert.ok(verdict === 'wrong' || (verdict === 'risky' && here?.right === 'abandoned'));
          }
          const mayHaveRun = there?.right === 'running' || there?.unsure === true;
          if (runAt === 'source' && mayHaveRun && here?.hypervisor !== 'running') {
            assert.notEqual(verdict, 'safe');
          }
          if (runAt === 'destination' && here?.hypervisor === 'running') {
            assert.equal(verdict, 'wrong');
          }
          if (runAt === 'source' && here?.right === 'passed') assert.equal(verdict, 'wrong');
          // It starts nothing, and is offered if no other answer is safe.
          if (runAt === 'elsewhere') assert.equal(verdict, 'risky');
          if (runAt === 'destination' && here?.right === 'abandoned') {
            assert.equal(verdict, 'wrong');
          }
        }
      }),
    );
  });
});

describe('a held migration with both hosts answering', () => {
  const rights = ['armed', 'committing', 'passed', 'abandoned'] as const;
  const here = ['running', 'paused', 'handed-over', 'gone'] as const;
  const theirs = ['armed', 'running', 'refused'] as const;
  const words = ['incoming', 'paused', 'running', 'postcopy', 'gone', 'none'] as const;

  const flags = [false, true];

  /** Every pair of views that the journals of both sides allow. */
  function pairs(): [SideView, SideView][] {
    const own = rights.flatMap((right) =>
      here.flatMap((hypervisor) =>
        flags.map((postcopy): SideView => {
          const complete = hypervisor === 'handed-over';
          return { ...source, right, hypervisor, postcopy, complete };
        }),
      ),
    );
    const other = theirs.flatMap((right) =>
      words.flatMap((word) => flags.map((hasRun) => ({ right, word, hasRun }))),
    );
    return own.flatMap((one) =>
      other
        .filter((their) => isAllowed(one, their))
        .map(({ right, word, hasRun }): [SideView, SideView] => {
          const hypervisor = word === 'postcopy' ? 'running' : word;
          const complete = hypervisor === 'paused' || hypervisor === 'running';
          const { postcopy } = one;
          return [one, { ...destination, right, hypervisor, postcopy, complete, hasRun }];
        }),
    );
  }

  function isAllowed(
    { right, postcopy }: SideView,
    their: { right: (typeof theirs)[number]; word: (typeof words)[number]; hasRun: boolean },
  ): boolean {
    const isGone = their.word === 'gone' || their.word === 'none';
    if (their.hasRun && (their.right === 'armed' || right === 'armed')) return false;
    // Once it ran there, it refuses only after the source has closed the epoch on a proof.
    if (their.hasRun && their.right === 'refused' && right !== 'abandoned') return false;
    if (their.right === 'running' && right === 'armed') return false;
    if (their.right === 'armed' && right === 'passed') return false;
    if (their.right === 'refused' && !isGone) return false;
    return their.word !== 'postcopy' || postcopy;
  }

  const isRefused = ({ verdict }: Answer): boolean => verdict === 'wrong';

  test('an accepted answer exists unless a host must first end a copy that may not run', () => {
    for (const [one, two] of pairs()) {
      const all = Object.values(judged(one, two));
      if (!all.every(isRefused)) continue;
      // The destination's mover learns that the epoch is closed, and takes down what it has by itself.
      const isOverruled = one.right === 'abandoned' && two.right !== 'refused';
      // The destination may run the guest or has run it, and a copy runs here: the operator stops one of them first.
      const isTwice =
        one.hypervisor === 'running' && (two.hasRun === true || two.right === 'running');
      const isOlder = one.hypervisor === 'running' && one.right === 'passed';
      assert.ok(isOverruled || isTwice || isOlder, JSON.stringify([one, two, all]));
    }
  });

  test('a safe answer never runs a second copy', () => {
    for (const [one, two] of pairs()) {
      for (const { runAt, verdict } of Object.values(judged(one, two))) {
        if (verdict !== 'safe') continue;
        if (runAt === 'source')
          assert.ok(two.right !== 'running' || /gone|none/.test(two.hypervisor));
        else if (runAt === 'destination') assert.notEqual(one.hypervisor, 'running');
      }
    }
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judgeManaged, type ManagerWord } from '../../../src/migration/managed/resolution.ts';
import { answer } from '../../../src/protocol/public/resolve.ts';

const sides = { guest: 'web1', from: 'a', to: 'b' };

const word: fc.Arbitrary<ManagerWord> = fc.oneof(
  fc.record({ why: fc.string({ maxLength: 40 }) }, { noNullPrototype: true }),
  fc
    .record(
      {
        at: fc.constantFrom(
          'source' as const,
          'destination' as const,
          'elsewhere' as const,
          'unknown' as const,
        ),
        busy: fc.option(fc.boolean(), { nil: undefined }),
      },
      { noNullPrototype: true },
    )
    .map(({ at, busy }) => (busy === undefined ? { at } : { at, busy })),
);

test('an answer is safe only if the manager reports the guest there, and nothing moves it', () => {
  fc.assert(
    fc.property(word, (said) => {
      const answers = judgeManaged(sides, said);
      assert.deepEqual(
        answers.map(({ runAt }) => runAt),
        ['source', 'destination'],
      );
      for (const each of answers) {
        assert.deepEqual(answer.parse(each), each);
        const isThere = 'at' in said && said.at === each.runAt;
        if (each.verdict !== 'safe') continue;
        assert.ok(isThere && said.busy !== true);
        // At the source it may be about to go: the manager must say that nothing moves it.
        if (each.runAt === 'source') assert.ok(isThere && said.busy === false);
        assert.equal(each.proof, 'ask');
      }
      assert.ok(answers.filter(({ verdict }) => verdict === 'safe').length <= 1);
    }),
  );
});

test('a second copy that will be ended is a risk of its answer only', () => {
  const [here, there] = judgeManaged(sides, { at: 'source', busy: false, second: true });
  assert.equal(here?.verdict, 'safe');
  assert.match(
    here.risks.join(),
    /^A second copy of .* is ended; if it ran, what it did is lost\.$/,
  );
  assert.deepEqual([there?.verdict, there?.risks], ['wrong', []]);
});

test('an answer that contradicts the manager is wrong, and one it does not cover is unknown', () => {
  const verdicts = (said: ManagerWord): string[] =>
    judgeManaged(sides, said).map(({ verdict }) => verdict);
  assert.deepEqual(verdicts({ at: 'source', busy: false }), ['safe', 'wrong']);
  assert.deepEqual(verdicts({ at: 'destination' }), ['wrong', 'safe']);
  assert.deepEqual(verdicts({ at: 'source' }), ['unknown', 'wrong']);
  assert.deepEqual(verdicts({ at: 'elsewhere', busy: false }), ['wrong', 'wrong']);
  assert.deepEqual(verdicts({ at: 'source', busy: true }), ['waits', 'waits']);
  assert.deepEqual(verdicts({ why: 'silent' }), ['unknown', 'unknown']);
});

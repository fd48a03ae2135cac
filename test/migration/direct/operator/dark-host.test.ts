import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  afterAnotherAnswered,
  afterQuestion,
  beginDarkWatch,
  type DarkTerms,
  type DarkVerdict,
  type KernelAnswer,
  type Question,
} from '../../../../src/migration/direct/operator/dark-host.ts';

const TERMS: DarkTerms = { silenceMs: 5000, answerMs: 1000, breakMs: 500 };
const SILENCE: KernelAnswer = { what: 'silence', said: 'nothing' };
const ANSWER: KernelAnswer = { what: 'answer', said: 'it refuses connections' };
const UNKNOWN: KernelAnswer = { what: 'unknown', said: 'ENETUNREACH' };

const EVERY_MS = 250;

/** When another host answered over the ways of all paths: all the time, but for some time. */
type AnswerGap = { readonly fromMs: number; readonly toMs: number };
const answersUpTo = (untilMs: number, closed?: AnswerGap): number[] =>
  Array.from({ length: Math.floor(untilMs / EVERY_MS) + 1 }, (_, nth) => nth * EVERY_MS).filter(
    (atMs) => closed === undefined || atMs < closed.fromMs || atMs > closed.toMs,
  );

/** The verdict after all of them, in the order in which they ended. */
function verdictAfter(
  paths: readonly string[],
  questions: readonly Question[],
  closed?: AnswerGap,
): DarkVerdict {
  let watch = beginDarkWatch(paths, TERMS);
  let heardMs = -1;
  for (const question of questions) {
    for (const atMs of answersUpTo(question.endedAtMs, closed)) {
      if (atMs <= heardMs) continue;
      heardMs = atMs;
      for (const path of paths) watch = afterAnotherAnswered(watch, path, atMs);
    }
    watch = afterQuestion(watch, question);
  }
  return watch.verdict;
}

/** Questions over one path, one after the other. */
function asked(
  path: string,
  heard: readonly KernelAnswer[],
  takesMs = 1000,
  breakMs = 250,
): Question[] {
  return heard.map((each, index) => {
    const askedAtMs = index * (takesMs + breakMs);
    return { path, askedAtMs, endedAtMs: askedAtMs + takesMs, heard: each };
  });
}

const byEnd = (questions: readonly Question[]): Question[] =>
  questions.toSorted((left, right) => left.endedAtMs - right.endedAtMs);

describe('a dark host', () => {
  test('a host is dark once it has been silent over its path for the whole time', () => {
    const questions = asked(
      'one',
      Array.from({ length: 5 }, () => SILENCE),
    );
    assert.equal(verdictAfter(['one'], questions.slice(0, 4)).kind, 'wait');
    assert.deepEqual(verdictAfter(['one'], questions), { kind: 'dark', forMs: 6000 });
  });

  test('a host is dark only when every path is silent', () => {
    const one = asked(
      'one',
      Array.from({ length: 9 }, () => SILENCE),
    );
    assert.equal(verdictAfter(['one', 'two'], one).kind, 'wait');
    const two = asked(
      'two',
      Array.from({ length: 9 }, () => SILENCE),
    );
    assert.equal(verdictAfter(['one', 'two'], byEnd([...one, ...two])).kind, 'dark');
    const late = [...two.slice(0, 4), { ...two[4]!, heard: ANSWER }];
    assert.deepEqual(verdictAfter(['one', 'two'], byEnd([...one, ...late])), {
      kind: 'not-dark',
      why: 'it answers at two: it refuses connections',
    });
  });

  test('a host is never dark if this host cannot ask it, or has no address for it', () => {
    assert.deepEqual(verdictAfter(['one'], asked('one', [SILENCE, UNKNOWN])), {
      kind: 'not-dark',
      why: 'unknown at one: ENETUNREACH',
    });
    assert.deepEqual(verdictAfter([], []), { kind: 'not-dark', why: 'no address of it is known' });
  });

  test('a host is not dark while this host is stalled between two questions, or within one', () => {
    const silent = (count: number): KernelAnswer[] => Array.from({ length: count }, () => SILENCE);
    const many = asked('one', silent(20), 1000, 600);
    assert.equal(verdictAfter(['one'], many).kind, 'wait');
    // A process that was stopped finds its timer over before it reads the answer that lies there.
    const stopped = asked('one', silent(20), 1600, 100);
    assert.equal(verdictAfter(['one'], stopped).kind, 'wait');
  });
});

test('silence proves nothing while no other host answers over the same path', () => {
  const silent = asked(
    'one',
    Array.from({ length: 20 }, () => SILENCE),
  );
  const at = (nth: number): number => silent[nth]!.endedAtMs;
  assert.equal(verdictAfter(['one'], silent, { fromMs: 0, toMs: Infinity }).kind, 'wait');
  // From the moment on at which the way is open again the whole time is needed.
  const late = { fromMs: 1000, toMs: at(7) };
  assert.equal(verdictAfter(['one'], silent.slice(0, 11), late).kind, 'wait');
  assert.equal(verdictAfter(['one'], silent, late).kind, 'dark');
  // Just now nobody is heard.
  const closed = { fromMs: at(1), toMs: Infinity };
  assert.equal(verdictAfter(['one'], silent, closed).kind, 'wait');
});

interface Move {
  readonly path: string;
  readonly breakMs: number;
  readonly takesMs: number;
  readonly heard: KernelAnswer;
}

const PATHS = ['one', 'two', 'three'] as const;
const anyMove = (paths: readonly string[]): fc.Arbitrary<Move> =>
  fc.record({
    path: fc.constantFrom(...paths),
    breakMs: fc.oneof({ weight: 9, arbitrary: fc.nat(500) }, fc.nat(3000)),
    takesMs: fc.oneof({ weight: 9, arbitrary: fc.nat(1000) }, fc.nat(4000)),
    heard: fc.oneof(
      { weight: 60, arbitrary: fc.constant(SILENCE) },
      { weight: 1, arbitrary: fc.constantFrom(ANSWER, UNKNOWN) },
    ),
  });

/** Each path is asked by itself, one question after the other. */
function questionsOf(moves: readonly Move[]): Question[] {
  const now = new Map<string, number>();
  return byEnd(
    moves.map(({ path, breakMs, takesMs, heard }) => {
      const askedAtMs = (now.get(path) ?? 0) + breakMs;
      now.set(path, askedAtMs + takesMs);
      return { path, askedAtMs, endedAtMs: askedAtMs + takesMs, heard };
    }),
  );
}

/**
 * Said without a look at how the watch works: nobody answered, and at every moment of a stretch of `silenceMs` that ends
 * just now another host was heard near, and each path had an honest question under way, or was within a short break between two.
 */
function mayBeDark(
  paths: readonly string[],
  seen: readonly Question[],
  heardAtMs: readonly number[],
): boolean {
  if (paths.length === 0 || seen.some(({ heard }) => heard.what !== 'silence')) return false;
  const { silenceMs, answerMs, breakMs } = TERMS;
  const nowMs = seen.at(-1)?.endedAtMs ?? 0;
  const honest = seen.filter(
    ({ askedAtMs, endedAtMs }) => endedAtMs - askedAtMs <= answerMs + breakMs,
  );
  const near = (path: string, atMs: number): boolean =>
    honest.some(
      (each) =>
        each.path === path && each.askedAtMs - breakMs <= atMs && atMs <= each.endedAtMs + breakMs,
    );
  for (let backMs = answerMs + breakMs; backMs <= silenceMs; backMs += 50) {
    const atMs = nowMs - backMs;
    const isOpen = heardAtMs.some((each) => Math.abs(each - atMs) <= answerMs + breakMs);
    if (!isOpen) return false;
    if (!paths.every((path) => near(path, nowMs - backMs))) return false;
  }
  return true;
}

test('a host is dark only if it never answers while every path is asked all the time, whatever the questions', () => {
  let dark = 0;
  const anyCase = fc
    .subarray([...PATHS], { minLength: 1 })
    .chain((paths) => fc.tuple(fc.constant(paths), fc.array(anyMove(paths), { maxLength: 40 })));
  const anyClosed = fc.option(
    fc.record({ fromMs: fc.nat(20_000), toMs: fc.integer({ min: 0, max: 30_000 }) }),
    { nil: undefined, freq: 2 },
  );
  fc.assert(
    fc.property(anyCase, anyClosed, ([paths, moves], closed) => {
      let watch = beginDarkWatch(paths, TERMS);
      const seen: Question[] = [];
      let heardMs = -1;
      for (const question of questionsOf(moves)) {
        if (watch.verdict.kind !== 'wait') break;
        seen.push(question);
        for (const atMs of answersUpTo(question.endedAtMs, closed)) {
          if (atMs <= heardMs) continue;
          heardMs = atMs;
          for (const path of paths) watch = afterAnotherAnswered(watch, path, atMs);
        }
        watch = afterQuestion(watch, question);
        const isSilence = question.heard.what === 'silence';
        assert.equal(watch.verdict.kind === 'not-dark', !isSilence);
      }
      if (watch.verdict.kind !== 'dark') return;
      dark += 1;
      assert.ok(watch.verdict.forMs >= TERMS.silenceMs);
      const heard = answersUpTo(seen.at(-1)?.endedAtMs ?? 0, closed);
      assert.ok(mayBeDark(paths, seen, heard), JSON.stringify(seen));
    }),
    { numRuns: 6000 },
  );
  // A property that never meets a dark host holds nothing.
  assert.ok(dark > 100, `${dark} dark ones`);
});

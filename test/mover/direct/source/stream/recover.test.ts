import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { hasCode } from '../../../../../src/errors.ts';
import { silentLog } from '../../../../../src/log.ts';
import type { SourceEvent } from '../../../../../src/migration/direct/source/source-state.ts';
import { recoverPostcopy } from '../../../../../src/mover/direct/source/stream/recover.ts';
import type { StepContext } from '../../../../../src/mover/direct/source/ports.ts';
import { answer, peerOf, timeOf, turn, type Answer } from '../answers.ts';
import { unreachable } from '../unreachable.ts';

const LIMIT_MS = 60_000;
const SENT = 1000;

/** What the stream is called, look by look; the last is what it stays. */
type Course = readonly string[];

interface Setup {
  readonly canRecover?: boolean;
  readonly run?: string;
  /** Until the source connects anew. */
  readonly before?: Course;
  /** After each order to connect anew; the last of them after all that follow. */
  readonly after?: readonly Course[];
  readonly remainingBytes?: number;
  /** What has been sent, look by look. */
  readonly sent?: readonly number[];
  /** Whether a path to the destination answers, try by try. */
  readonly paths?: readonly boolean[];
  /** What the destination answers that is to listen anew, try by try. */
  readonly listens?: readonly Answer<object>[];
}

const at = <T>(list: readonly T[], index: number): T | undefined =>
  list[Math.min(index, list.length - 1)];

function stage(t: TestContext, given: Setup) {
  const time = timeOf(t);
  const done: string[] = [];
  const events: SourceEvent[] = [];
  let [looks, samples, tries, asked, connects] = [0, 0, 0, 0, 0];
  const course = (): Course =>
    connects === 0
      ? (given.before ?? ['postcopy-paused'])
      : (at(given.after ?? [], connects - 1) ?? []);
  const session = {
    status: async () => {
      const stream = at(course(), looks) ?? 'postcopy-active';
      looks += 1;
      return { run: given.run ?? 'paused', stream };
    },
    sample: async () => {
      const transferredBytes = at(given.sent ?? [SENT], samples) ?? SENT;
      samples += 1;
      return { transferredBytes, remainingBytes: given.remainingBytes ?? 1 };
    },
    recover: async (address: string, tlsHostname: string) => {
      done.push(`connect ${address} ${tlsHostname}`);
      connects += 1;
      looks = 0;
    },
  };
  const api = {
    recover: ({ body }: { body: { epoch: number } }, { signal }: { signal: AbortSignal }) => {
      done.push(`listen ${body.epoch} at ${time.now()}`);
      asked += 1;
      return answer(at(given.listens ?? [{ memoryAddress: 'b:1' }], asked - 1) ?? {}, signal);
    },
  };
  const context: unknown = {
    hypervisor: {
      capabilities: { postcopyRecovery: given.canRecover ?? true },
      session: async () => session,
    },
    request: { id: 'm-1' },
    state: () => ({ plan: { epoch: 17 }, known: {} }),
    dispatch: (event: SourceEvent) => void events.push(event),
    dataPath: {
      open: async ({ memoryAddress }: { memoryAddress: string }) => ({
        address: memoryAddress,
        tlsHostname: 'b',
      }),
    },
    peer: {
      ...peerOf(api),
      address: '10.0.0.2:7443',
      choose: async () => {
        done.push('choose');
        tries += 1;
        return at(given.paths ?? [true], tries - 1) ?? true;
      },
    },
  };
  const stop = new AbortController();
  const recovering = (): Promise<void> =>
    recoverPostcopy(context as StepContext, LIMIT_MS, silentLog, stop.signal);
  return { ...time, done, events, stop, recovering };
}

const FLOWS = [{ type: 'flows', over: '10.0.0.2:7443' }];
const CONNECT = 'connect routed b:1 b';

describe('a broken post-copy stream', () => {
  test('a broken post-copy stream is resumed over a working path: listen first, then connect', async (t) => {
    const { done, events, recovering } = stage(t, { after: [['postcopy-active']] });
    await recovering();
    assert.deepEqual(done, ['choose', 'listen 17 at 0', CONNECT]);
    assert.deepEqual(events, FLOWS);
  });

  test('a broken post-copy stream is not resumed by a driver that cannot do so', async (t) => {
    const { done, recovering } = stage(t, { canRecover: false });
    await assert.rejects(recovering, (thrown) => hasCode(thrown, 'GODWIT_CAPABILITY'));
    assert.deepEqual(done, []);
  });

  test('a post-copy stream that came back or ended by itself needs no recovery', async (t) => {
    const byItself: Setup[] = [
      { before: ['postcopy-active'], sent: [SENT, SENT + 1] },
      { before: ['completed'] },
      { run: 'gone' },
    ];
    for (const given of byItself) {
      const { done, events, recovering } = stage(t, given);
      await recovering();
      assert.deepEqual([done, events], [[], []]);
      t.mock.reset();
    }
  });

  test('a post-copy stream is left to TCP if everything was sent and the last bytes are in flight', async (t) => {
    const before = ['postcopy-active', 'postcopy-active', 'completed'];
    const { done, recovering } = stage(t, { before, remainingBytes: 0 });
    await recovering();
    assert.deepEqual(done, []);
  });

  test('a post-copy stream that stalls silently is resumed all the same', async (t) => {
    const { done, recovering } = stage(t, {
      before: ['postcopy-active'],
      after: [['postcopy-active']],
    });
    await recovering();
    assert.deepEqual(done, ['choose', 'listen 17 at 0', CONNECT]);
  });

  test('a post-copy stream that broke with its last bytes in flight is resumed, since TCP lost them', async (t) => {
    const { done, recovering } = stage(t, { remainingBytes: 0, after: [['postcopy-active']] });
    await recovering();
    assert.deepEqual(done, ['choose', 'listen 17 at 0', CONNECT]);
  });

  test('a broken post-copy stream keeps its old connection until a path answers', async (t) => {
    const { done, recovering } = stage(t, {
      paths: [false, false, true],
      after: [['postcopy-active']],
    });
    await recovering();
    assert.deepEqual(done, ['choose', 'choose', 'choose', 'listen 17 at 500', CONNECT]);
  });

  test('a broken post-copy stream is tried again if the destination does not listen', async (t) => {
    const { done, recovering } = stage(t, {
      listens: [unreachable, { memoryAddress: 'b:1' }],
      after: [['postcopy-active']],
    });
    await recovering();
    assert.deepEqual(done, ['choose', 'listen 17 at 0', 'choose', 'listen 17 at 250', CONNECT]);
  });

  test('a broken post-copy stream gives the destination 10 s to listen, and then asks again', async (t) => {
    const { done, goOn, recovering } = stage(t, {
      listens: ['silent', { memoryAddress: 'b:1' }],
      after: [['postcopy-active']],
    });
    const outcome = recovering();
    await turn();
    await goOn(9999);
    assert.deepEqual(done, ['choose', 'listen 17 at 0']);
    await goOn(1);
    await outcome;
    assert.deepEqual(done.slice(2), ['choose', 'listen 17 at 10250', CONNECT]);
  });

  test('a broken post-copy stream is tried again as soon as the new connection fails', async (t) => {
    const failing = ['postcopy-recovering', 'postcopy-paused'];
    const { done, events, recovering } = stage(t, { after: [failing, ['postcopy-active']] });
    await recovering();
    const again = ['choose', 'listen 17 at 275', CONNECT];
    assert.deepEqual(done, ['choose', 'listen 17 at 0', CONNECT, ...again]);
    assert.deepEqual(events, FLOWS);
  });

  test('a new connection gets 5 s to carry data, even while its state is still paused', async (t) => {
    const slow = [...Array.from({ length: 100 }, () => 'postcopy-paused'), 'postcopy-recovering'];
    const { done, recovering } = stage(t, { after: [[...slow, 'postcopy-active']] });
    await recovering();
    assert.deepEqual(done, ['choose', 'listen 17 at 0', CONNECT]);
    t.mock.reset();
    const dead = stage(t, { after: [['postcopy-recovering'], ['completed']] });
    await dead.recovering();
    assert.equal(dead.done[4], 'listen 17 at 5275');
    assert.deepEqual(dead.events, FLOWS);
  });

  test('a broken post-copy stream is given up when its time is over', async (t) => {
    const { done, now, recovering } = stage(t, { paths: [false] });
    await assert.rejects(recovering, (thrown) => hasCode(thrown, 'GODWIT_DEADLINE'));
    assert.equal(now(), LIMIT_MS);
    assert.deepEqual(new Set(done), new Set(['choose']));
  });

  test('a broken post-copy stream is given up at once when the migration is', async (t) => {
    const { done, stop, recovering } = stage(t, { listens: ['silent'] });
    const outcome = recovering();
    await turn();
    stop.abort(new Error('cancelled'));
    await assert.rejects(outcome, /cancelled/);
    assert.deepEqual(done, ['choose', 'listen 17 at 0']);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError, type SerialError } from '../../../src/errors.ts';
import { plainLog } from '../../../src/log.ts';
import type { EngineEffect } from '../../../src/migration/engine/rows.ts';
import { Engine, type EngineParts, type TimeLimit } from '../../../src/mover/engine/engine.ts';
import { PretendedClock } from '../managed/pretended-clock.ts';

type Step = 'build' | 'move' | 'tidy';
type Undone = 'build';
type Own = { readonly type: 'ring' };
type Event =
  | { readonly type: 'planned' | 'cancel' | 'rung' }
  | { readonly type: 'did'; readonly step: Step }
  | { readonly type: 'undid'; readonly step: Undone }
  | { readonly type: 'failed' | 'undo-failed'; readonly step: Step; readonly error: SerialError }
  | { readonly type: 'timeout'; readonly step: Step; readonly afterMs: number };
interface State {
  readonly ended: boolean;
  readonly further: boolean;
}
type Effect = EngineEffect<Step, Undone> | Own;
type Parts = EngineParts<State, Event, Step, Undone, object, undefined, Own>;

const FRESH: State = { ended: false, further: false };
const ended = new Error('ended');
const never = (signal: AbortSignal): Promise<undefined> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(ended), { once: true }));

/** An engine whose rules are `effectsOf`, with everything it writes down. */
function engineOf(
  effectsOf: (event: Event) => readonly Effect[],
  {
    limit = { ms: 1000, over: 'fails' },
    ...own
  }: Partial<Omit<Parts, 'limit'>> & { readonly limit?: TimeLimit } = {},
) {
  const clock = new PretendedClock();
  const written: string[] = [];
  const word = (event: Event): string =>
    'step' in event ? `${event.type} ${event.step}` : event.type;
  const engine = new Engine<State, Event, Step, Undone, object, undefined, Own>(
    {
      journal: { append: async (event) => void written.push(word(event)) },
      clock,
      log: plainLog(() => {}, 'error', {}),
      transition: (state, event) => {
        const effects = effectsOf(event);
        const isEnd = effects.some(({ type }) => type === 'end');
        return { state: { ...state, ended: isEnd }, effects };
      },
      durability: () => 'sync',
      isEnded: (state) => state.ended,
      do: async () => ({}),
      undo: async () => undefined,
      limit: () => limit,
      undoMs: () => 1000,
      stopsHandlers: false,
      events: {
        did: (step) => ({ type: 'did', step }),
        failed: (step, error) => ({ type: 'failed', step, error }),
        undid: (step) => ({ type: 'undid', step }),
        undoFailed: (step, error) => ({ type: 'undo-failed', step, error }),
        timeout: (step, afterMs) => ({ type: 'timeout', step, afterMs }),
      },
      perform: () => {},
      applied: () => {},
      ...own,
    },
    FRESH,
  );
  return { engine, clock, written };
}

const END = { type: 'end', outcome: 'done' } as const;
const FAILED = { type: 'end', outcome: 'failed' } as const;

describe('the engine', () => {
  test('the engine does the steps that its rules request, and records how each ended', async () => {
    const { engine, written } = engineOf((event) => {
      if (event.type !== 'did') return [];
      return event.step === 'build' ? [{ type: 'do', step: 'tidy' }] : [END];
    });
    await engine.begin({ type: 'planned' }, [{ type: 'do', step: 'build' }]);
    assert.equal(await engine.finished, 'done');
    assert.deepEqual(written, ['planned', 'did build', 'did tidy']);
  });

  test('the engine reports a failed step, and undoes it only once its handler has stopped', async () => {
    const happened: string[] = [];
    const { engine, written } = engineOf(
      ({ type }) => {
        if (type === 'cancel') return [{ type: 'undo', step: 'build' }];
        return type === 'undid' ? [FAILED] : [];
      },
      {
        do: async (_, signal) => {
          await never(signal).catch(() => {});
          await Promise.resolve();
          happened.push('stopped');
          throw ended;
        },
        undo: async () => {
          happened.push('undone');
          return undefined;
        },
      },
    );
    await engine.begin({ type: 'planned' }, [{ type: 'do', step: 'build' }]);
    engine.dispatch({ type: 'cancel' });
    assert.equal(await engine.finished, 'failed');
    assert.deepEqual(happened, ['stopped', 'undone']);
    // A step that was stopped has not failed.
    assert.deepEqual(written, ['planned', 'cancel', 'undid build']);
  });

  test('the engine reports a step that takes too long through an event, if an event ends the step', async () => {
    const { engine, clock, written } = engineOf(
      ({ type }) => (type === 'timeout' ? [FAILED] : []),
      { limit: { ms: 700, over: 'event' }, do: (_, signal) => never(signal) },
    );
    await engine.begin({ type: 'planned' }, [{ type: 'do', step: 'move' }]);
    await clock.sleep(800);
    assert.equal(await engine.finished, 'failed');
    assert.deepEqual(written, ['planned', 'timeout move']);
  });

  test('the engine gives a further attempt the remaining time of its step', async () => {
    const tries: number[] = [];
    const { engine, clock } = engineOf(
      ({ type }) => {
        if (type === 'timeout') return [FAILED];
        return type === 'failed' ? [{ type: 'do', step: 'move' }] : [];
      },
      {
        limit: { ms: 1000, over: 'event' },
        isFurtherAttempt: () => tries.length > 0,
        do: async (_, signal) => {
          tries.push(clock.monotonicMs());
          await clock.sleep(400, signal);
          throw godwitError('GODWIT_INTERNAL', { what: 'it fails' });
        },
      },
    );
    await engine.begin({ type: 'planned' }, [{ type: 'do', step: 'move' }]);
    assert.equal(await engine.finished, 'failed');
    assert.deepEqual(tries, [0, 400, 800]);
    assert.equal(clock.monotonicMs(), 1000);
  });

  test("the engine runs its lifecycle's extra actions, whose failure is an event", async () => {
    const rung: string[] = [];
    const made = engineOf(
      ({ type }) => {
        if (type === 'planned') return [{ type: 'ring' }];
        return type === 'rung' ? [END] : [];
      },
      { perform: ({ type }) => void rung.push(type) },
    );
    await made.engine.record({ type: 'planned' });
    const failed = (): Event => ({ type: 'rung' });
    await made.engine.aside('ringing', 1000, () => Promise.reject(ended), failed);
    assert.equal(await made.engine.finished, 'done');
    assert.deepEqual(rung, ['ring']);
  });

  test('the engine stops all running work once it has ended', async () => {
    let reason: unknown;
    const { engine } = engineOf(({ type }) => (type === 'cancel' ? [FAILED] : []), {
      do: (_, signal) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason;
        });
        return never(signal);
      },
    });
    await engine.begin({ type: 'planned' }, [{ type: 'do', step: 'move' }]);
    const { stepSignal } = engine;
    await engine.record({ type: 'cancel' });
    assert.ok(stepSignal.aborted);
    assert.ok(engine.over.aborted);
    assert.match(String(reason), /the migration has ended/);
  });

  test('the engine takes events one by one, and none has effects before it is in the journal', async () => {
    const written: string[] = [];
    const rung: string[] = [];
    const { engine } = engineOf(() => [{ type: 'ring' }], {
      journal: {
        append: async ({ type }) => {
          await Promise.resolve();
          assert.equal(rung.length, written.length);
          written.push(type);
        },
      },
      perform: ({ type }) => void rung.push(type),
    });
    engine.dispatch({ type: 'planned' });
    engine.dispatch({ type: 'rung' });
    await engine.record({ type: 'cancel' });
    assert.deepEqual(written, ['planned', 'rung', 'cancel']);
    assert.equal(rung.length, 3);
  });

  test('the engine drops events after the end', async () => {
    const { engine, written } = engineOf(({ type }) => (type === 'cancel' ? [FAILED] : []));
    await engine.record({ type: 'cancel' });
    await engine.record({ type: 'rung' });
    assert.deepEqual(written, ['cancel']);
  });

  test('the engine stalls, and reports it, once its journal cannot be written', async () => {
    const rung: string[] = [];
    const { engine } = engineOf(() => [{ type: 'ring' }], {
      journal: { append: () => Promise.reject(new Error('the disk is full')) },
      perform: ({ type }) => void rung.push(type),
    });
    await assert.rejects(engine.record({ type: 'planned' }), /full/);
    await engine.record({ type: 'rung' });
    await assert.rejects(engine.finished, /full/);
    assert.equal(engine.state, FRESH);
    assert.deepEqual(rung, []);
  });

  test('the engine gives work its turn among the events', async () => {
    const written: string[] = [];
    const { engine } = engineOf(() => [], {
      journal: {
        append: async ({ type }) => {
          await Promise.resolve();
          written.push(type);
        },
      },
    });
    engine.dispatch({ type: 'rung' });
    const seen = await engine.inTurn(async (apply) => {
      const before = [...written];
      await apply({ type: 'planned' });
      return [before, [...written]];
    });
    assert.deepEqual(seen, [['rung'], ['rung', 'planned']]);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { SourceSession } from '../../../../../src/port/direct.ts';
import { hasCode } from '../../../../../src/errors.ts';
import {
  stepFacts,
  type StepFacts,
} from '../../../../../src/migration/direct/source/source-state.ts';
import {
  SEVERAL_STREAMS,
  wireObstacle,
} from '../../../../../src/migration/prediction/data-path.ts';
import {
  assessStream,
  streamFrom,
} from '../../../../../src/mover/direct/source/stream/choose-data-path.ts';
import type { Preparation } from '../../../../../src/protocol/peer/migration.ts';
import type { Check } from '../../../../../src/protocol/public/migration.ts';
import type { GuestMeasure } from '../../../../../src/protocol/public/prediction.ts';
import { WIRE_VERSION } from '../../../../../src/protocol/wire.ts';
import { planned, preparationOf } from '../../../../migration/direct/samples.ts';
import { choose, MBIT, OFFER, partsOf, type PathSetup } from '../path-scene.ts';

const signal = new AbortController().signal;

const anyOffer = fc.option(
  fc.record({
    version: fc.constantFrom(WIRE_VERSION, WIRE_VERSION + 1),
    cores: fc.integer({ min: 1, max: 64 }),
    knowsGuest: fc.boolean(),
  }),
  { nil: undefined },
);
const anyGiven = fc.record({
  settings: fc.record({
    mode: fc.constantFrom('precopy', 'postcopy', 'hybrid'),
    path: fc.constantFrom('native', 'wire', 'auto'),
    streams: fc.constantFrom(1, 4),
    compress: fc.constantFrom('none', 'zstd'),
  }),
  byRelay: fc.boolean(),
  reachable: fc.boolean(),
  offered: fc.boolean(),
}) satisfies fc.Arbitrary<PathSetup>;

describe("memory's path", () => {
  test("memory's path is chosen by a plan's measurement: an empty guest is not compressed", async () => {
    const given = { settings: { path: 'auto' }, configured: 100 * MBIT, offered: false } as const;
    const pages = { how: 'pages', memoryBytes: 1 << 30, pages: 4096 } as const;
    const takes = async (measured: GuestMeasure | undefined) =>
      (await choose(partsOf({ ...given, measured }), OFFER, signal)).path?.stream?.compress ??
      'as asked';
    assert.equal(await takes(undefined), 'zstd');
    const mix = { zero: 0, duplicate: 0, packed: 0.4, packedAgain: 0.4 };
    assert.equal(await takes({ ...pages, curve: [], mix }), 'zstd');
    assert.equal(await takes({ ...pages, curve: [], mix: { ...mix, zero: 1 } }), 'none');
  });

  test("memory's path is chosen by the results of this host's moves to that host", async () => {
    const given = { settings: { path: 'auto' }, configured: 1000 * MBIT, offered: false } as const;
    const kind = { finished: 'precopy', byWire: false, several: true, maxDowntimeMs: 100 } as const;
    const told = { ...kind, downtimeMs: 50, costs: { memoryPath: 'packed', processor: 4 } };
    const takes = async (ownMoves: PathSetup['ownMoves']) =>
      (await choose(partsOf({ ...given, ownMoves }), OFFER, signal)).path?.stream?.compress;
    assert.equal(await takes(undefined), 'zstd');
    assert.equal(await takes([told, told, told]), undefined);
  });

  test("memory's path is chosen by one page sample without a plan, and without it if that fails", async (t) => {
    const given = { settings: { path: 'auto' }, configured: 100 * MBIT, offered: false } as const;
    const compressOf = async (measure: SourceSession['measure']) =>
      (await choose(partsOf({ ...given, measure }), OFFER, signal)).path?.stream?.compress;
    const empty: SourceSession['measure'] = async (_signal, brief) => {
      assert.equal(brief?.enough.aborted, true, 'one look, and no windows');
      // A curve of one moment says nothing.
      const curve = [{ windowMs: 1, dirtyBytes: 1 << 30 }];
      const mix = { zero: 1, duplicate: 0, packed: 1 };
      return { how: 'pages', memoryBytes: 1 << 30, pages: 1024, curve, mix };
    };
    assert.equal(await compressOf(empty), 'none');
    const asWithout = await compressOf(undefined);
    assert.equal(asWithout, 'zstd');
    assert.equal(await compressOf(() => Promise.reject(new Error('EPERM'))), asWithout);
    const seesNothing = { how: 'hypervisor', memoryBytes: 1 << 30, pages: 0, curve: [] } as const;
    assert.equal(await compressOf(() => Promise.resolve({ ...seesNothing, curve: [] })), asWithout);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const hanging = Promise.withResolvers<never>();
    let asked = false;
    const late = compressOf(() => {
      asked = true;
      return hanging.promise;
    });
    while (!asked) await new Promise(setImmediate);
    t.mock.timers.tick(1000);
    assert.equal(await late, asWithout);
  });

  test("memory's path is not chosen by a sample that ends with the migration", async () => {
    const over = new AbortController();
    const reason = new Error('cancelled');
    const measure: SourceSession['measure'] = async () => {
      over.abort(reason);
      throw new Error('it is over');
    };
    const parts = partsOf({ settings: { path: 'auto' }, configured: 100 * MBIT, measure });
    await assert.rejects(choose(parts, OFFER, over.signal), reason);
  });

  test("memory's path is not chosen if none was requested, or no memory moves", async () => {
    for (const settings of [{}, { path: 'native' }, { mode: 'cold', path: 'wire' }] as const) {
      assert.deepEqual(await choose(partsOf({ settings }), OFFER, signal), {});
    }
  });

  test("memory's path is the requested or relayed wire, or is refused with the obstacles", async () => {
    await fc.assert(
      fc.asyncProperty(anyGiven, anyOffer, async (given, offer) => {
        const context = partsOf(given);
        const { settings } = context.state().plan;
        if (!given.byRelay && settings.path !== 'wire') return;
        const own = given.offered ? OFFER : undefined;
        const obstacle = wireObstacle(settings, { own, offer, reachable: given.reachable });
        if (obstacle === undefined) {
          assert.equal((await choose(context, offer, signal)).path?.takes, 'wire');
          return;
        }
        await assert.rejects(choose(context, offer, signal), (thrown: unknown) => {
          assert.ok(hasCode(thrown, 'GODWIT_CAPABILITY') && thrown.message.includes(obstacle));
          assert.equal(/relay/.test(thrown.hint ?? ''), given.byRelay);
          return true;
        });
      }),
    );
  });

  test("memory's path is never refused if Godwit chooses it, and fits the journal", async () => {
    await fc.assert(
      fc.asyncProperty(anyGiven, anyOffer, async (given, offer) => {
        const settings = { ...given.settings, path: 'auto' } as const;
        const chosen = await choose(partsOf({ ...given, settings, byRelay: false }), offer, signal);
        assert.deepEqual(stepFacts.parse(chosen), chosen);
      }),
    );
  });

  test("memory's path depends on the configured link rate, or else on the agent's measurement", async () => {
    // By post-copy QEMU compresses nothing: a thin link is the wire's.
    const settings = { path: 'auto', mode: 'postcopy' } as const;
    const takes = async (given: PathSetup) =>
      (await choose(partsOf({ settings, ...given }), OFFER, signal)).path?.takes;
    const [thin, fat] = [100 * MBIT, 10_000 * MBIT];
    const link = (rate: number) => ({ rate, how: 'measured' }) as const;
    assert.equal(await takes({ link: link(thin) }), 'wire');
    assert.equal(await takes({ link: link(fat) }), 'native');
    assert.equal(await takes({ link: link(fat), configured: thin }), 'wire');
    assert.equal(await takes({ link: link(thin), configured: fat }), 'native');
  });
});

const CHOSEN: StepFacts = {
  path: { takes: 'native', why: 'it is soonest', stream: SEVERAL_STREAMS },
};

describe('a stream that was chosen', () => {
  const sends = (reason: string | undefined, known: StepFacts) => {
    const asked: object[] = [];
    const session = {
      whyNot: async (stream: object) => {
        asked.push(stream);
        return reason;
      },
    } as unknown as SourceSession;
    return { chosen: streamFrom(partsOf({ known }), session, signal), asked };
  };

  test('a chosen stream is kept if the hypervisor can send it', async () => {
    const { chosen, asked } = sends(undefined, CHOSEN);
    assert.deepEqual(await chosen, {});
    assert.deepEqual(asked, [{ mode: 'precopy', ...SEVERAL_STREAMS }]);
  });

  test('a stream that was not chosen is not checked', async () => {
    const { chosen, asked } = sends('it cannot', {});
    assert.deepEqual([await chosen, asked], [{}, []]);
  });

  test('a chosen stream is replaced by a plain one, with a reason that fits the journal', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4000 }), async (length) => {
        const reason = 'é'.repeat(length);
        const facts = stepFacts.parse(await sends(reason, CHOSEN).chosen);
        assert.equal(facts.path?.stream, undefined);
        assert.equal(facts.path?.takes, 'native');
        assert.ok(facts.path.why.includes(reason.slice(0, 900)));
      }),
    );
  });
});

describe("the destination's answer about the stream", () => {
  const settings = { streams: 1, compress: 'none' } as const;
  const check = (verdict: Check['verdict'], name = 'stream'): Check => ({
    name,
    side: 'destination',
    verdict,
    evidence: 'no zstd there',
    ...(verdict === 'pass' ? {} : { hint: 'x' }),
  });

  /** The destination refuses the chosen stream, and takes a plain one. */
  async function assessed(checks: readonly Check[], known: StepFacts) {
    const asked: Preparation['stream'][] = [];
    const plain = preparationOf(planned(settings));
    const body = { ...plain, stream: { ...plain.stream, ...known.path?.stream } };
    const found = await assessStream(partsOf({ settings, known }), body, async ({ stream }) => {
      asked.push(stream);
      return { checks: asked.length === 1 ? checks : [] };
    });
    return { asked: asked.map(({ streams, compress }) => ({ streams, compress })), found };
  }

  test('the destination is asked once if it accepts the chosen stream, or refuses something else', async () => {
    for (const checks of [[], [check('pass')], [check('warn')], [check('refuse', 'cpu')]]) {
      const { asked, found } = await assessed(checks, CHOSEN);
      assert.deepEqual(asked, [SEVERAL_STREAMS]);
      assert.deepEqual(found, { answer: { checks } });
    }
  });

  test('the destination is asked again for a plain stream if it refuses the chosen one', async () => {
    const { asked, found } = await assessed([check('refuse')], CHOSEN);
    assert.deepEqual(asked, [SEVERAL_STREAMS, settings]);
    assert.deepEqual(found.answer, { checks: [] });
    assert.equal(found.path?.stream, undefined);
    assert.match(found.path?.why ?? '', /it is soonest; as one plain stream: no zstd there/);
  });

  test("the destination's refusal stands if the stream was requested, and not chosen", async () => {
    const { asked, found } = await assessed([check('refuse')], {});
    assert.equal(asked.length, 1);
    assert.deepEqual(found, { answer: { checks: [check('refuse')] } });
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseAgentConfig } from '../../../../../src/config.ts';
import {
  stepFacts,
  initialSource,
} from '../../../../../src/migration/direct/source/source-state.ts';
import type { WireOffer } from '../../../../../src/protocol/wire.ts';
import { Forecast } from '../../../../../src/mover/direct/source/stream/forecast.ts';
import type { MigrationSettings } from '../../../../../src/protocol/public/migration.ts';
import type { DiskLatency } from '../../../../../src/protocol/disk.ts';
import type { GuestMeasure, Prediction } from '../../../../../src/protocol/public/prediction.ts';
import { planned } from '../../../../migration/direct/samples.ts';

type Dependencies = ConstructorParameters<typeof Forecast>[0];

const { signal } = new AbortController();
const MIB = 1024 ** 2;
const MEASURED: GuestMeasure = {
  how: 'pages',
  memoryBytes: 256 * MIB,
  pages: 1024,
  curve: [{ windowMs: 500, dirtyBytes: 0 }],
  mix: { zero: 0.5, duplicate: 0, packed: 0.5 },
};

interface Setup {
  readonly settings?: Partial<MigrationSettings>;
  /** What a plan has said. */
  readonly prediction?: Prediction;
  /** For so long guests stood still that moved to that host, ms. */
  readonly stoodStillMs?: readonly number[];
  /** What was counted of the guest's requests. */
  readonly latencies?: DiskLatency[];
  readonly measure?: (signal: AbortSignal, brief: { enough: AbortSignal }) => Promise<GuestMeasure>;
}

function contextOf({
  settings = {},
  prediction,
  stoodStillMs,
  latencies = [],
  ...session
}: Setup): Dependencies {
  const { state } = initialSource(planned(settings));
  const context: unknown = {
    config: parseAgentConfig(
      'agent.json',
      JSON.stringify({ name: 'a', address: '10.0.0.1:7443', stateDir: '/nowhere' }),
    ),
    state: () => state,
    latencies: { now: async () => latencies },
    request: {
      createdAt: new Date().toISOString(),
      link: { rate: 10 * MIB, how: 'measured' },
      prediction,
      ownMoves: stoodStillMs?.map((downtimeMs) => {
        const { maxDowntimeMs } = state.plan.settings;
        const kind = { finished: 'precopy', byWire: false, several: false, maxDowntimeMs } as const;
        return { ...kind, downtimeMs };
      }),
    },
    guest: {
      capabilities: { levers: ['downtime'] },
      session: async () => ({ handle: { driver: 'fake' }, ...session }),
    },
  };
  return context as Dependencies;
}

async function factsOf(given: Setup) {
  const forecast = new Forecast(contextOf(given), undefined);
  forecast.begin();
  return stepFacts.parse(await forecast.facts(signal));
}

describe('a migration without a plan', () => {
  test('a migration without a plan has a prediction from samples taken during the preparation', async () => {
    let ended = false;
    const measure = async (_signal: AbortSignal, { enough }: { enough: AbortSignal }) => {
      await new Promise((resolve) => {
        if (enough.aborted) resolve(undefined);
        enough.addEventListener('abort', resolve);
      });
      ended = true;
      return MEASURED;
    };
    const { prediction, unpredicted } = await factsOf({ measure });
    assert.equal(unpredicted, undefined);
    assert.ok(ended && prediction !== undefined);
    // Half of it is zeros: 128 MiB at 10 MiB/s.
    assert.ok(
      Math.abs(prediction.memoryMs.middle - 12_800) < 1500,
      `${prediction.memoryMs.middle}`,
    );
    assert.equal(prediction.steering?.strategy, 'precopy');
    assert.equal(prediction.diskLatency, undefined);
    const times = { count: 500, p50Ms: 1, p99Ms: 3 };
    const latencies = [{ node: 'disk0', before: { writes: times } }];
    const copied = await factsOf({ measure, latencies });
    const [disk] = copied.prediction?.diskLatency ?? [];
    assert.deepEqual(disk?.now, { writes: times });
    assert.equal(copied.prediction?.disks, undefined);
    // The other half of 10 MiB/s is memory's: 64 KiB take 12.5 ms.
    assert.equal(disk.writes.p99Ms?.middle, 15.5);
    // It is begun once, and what is known is not asked for again.
    const context = contextOf({ measure });
    const known = { ...context.state(), known: { prediction } };
    const again = new Forecast({ ...context, state: () => known }, undefined);
    assert.deepEqual(await again.facts(signal), {});
  });

  test('a forecast uses the processors of both hosts and their load, once the destination reports them', async () => {
    const said = async (...offers: (WireOffer | undefined)[]) => {
      const context = contextOf({ measure: async () => MEASURED });
      const forecast = new Forecast(context, () => ({ cores: 16, load: 1 }));
      forecast.begin();
      for (const offer of offers) forecast.admitted(offer);
      const { prediction } = stepFacts.parse(await forecast.facts(signal));
      return prediction?.costs?.processor.share;
    };
    const offer = { version: 1, cores: 16, load: 1, knowsGuest: false };
    // Nothing is learned from a move of which one host alone was known.
    assert.deepEqual([await said(), await said(undefined)], [undefined, undefined]);
    const [quiet = NaN, busy = NaN] = [await said(offer), await said({ ...offer, load: 400 })];
    assert.ok(busy > quiet, `${busy} of ${quiet}`);
  });

  test('a forecast includes the copy of its disks, which comes before memory', async () => {
    const context = contextOf({ measure: async () => MEASURED });
    const image = { node: 'disk0', format: 'raw', bytes: 40 * MIB, readOnly: false };
    const known = {
      copies: [{ node: 'disk0', pool: '0123456789abcdef', path: 'web1.img' }],
      description: { disks: [{ name: 'disk0', images: [{ ...image, allocatedBytes: 20 * MIB }] }] },
    };
    const copying = { ...context, state: () => ({ ...context.state(), known }) };
    const alone = await factsOf({ measure: async () => MEASURED });
    const forecast = new Forecast(copying as unknown as Dependencies, undefined);
    forecast.begin();
    const facts = await forecast.facts(signal);
    const { disks, totalMs } = stepFacts.parse(facts).prediction ?? assert.fail();
    // 20 MiB at 10 MiB/s.
    assert.deepEqual([disks?.ms.middle, disks?.bytes.middle], [2000, 20 * MIB]);
    const more = totalMs.middle - (alone.prediction?.totalMs.middle ?? 0);
    assert.ok(more > 1800 && more < 4000, `${more}`);
  });

  test('a forecast learns the downtime from earlier migrations to that host', async () => {
    const measure = async () => MEASURED;
    const downtimeMs = async (stoodStillMs: readonly number[]) =>
      (await factsOf({ measure, stoodStillMs })).prediction?.downtimeMs.middle ?? 0;
    const assumed = await downtimeMs([]);
    assert.ok(assumed > 0);
    const stoodMs = 4 * assumed;
    assert.ok((await downtimeMs([stoodMs])) > assumed);
    const learned = await downtimeMs(Array.from({ length: 9 }, () => stoodMs));
    assert.ok(learned > 3 * assumed && learned < stoodMs, `${learned}`);
  });

  test('a forecast waits for no slow sample, and reports why nothing is predicted', async () => {
    const beganMs = performance.now();
    const { unpredicted, prediction } = await factsOf({ measure: () => new Promise(() => {}) });
    assert.equal(prediction, undefined);
    assert.equal(unpredicted, 'the guest was not looked at within 200 ms');
    assert.ok(performance.now() - beganMs < 5000);
    const refused = await factsOf({ measure: () => Promise.reject(new Error('no memory of it')) });
    assert.match(refused.unpredicted ?? '', /no memory of it/);
    assert.match((await factsOf({})).unpredicted ?? '', /^the driver fake cannot look/);
  });

  test('a forecast continues after the step that began it, and stops when its mover ends', async () => {
    let looks: AbortSignal | undefined;
    const measure = (own: AbortSignal) => {
      looks = own;
      return new Promise<GuestMeasure>(() => {});
    };
    const forecast = new Forecast(contextOf({ measure }), undefined);
    forecast.begin();
    await new Promise(setImmediate);
    assert.equal(looks?.aborted, false);
    forecast.close();
    assert.equal(looks.aborted, true);
  });

  test('a migration that another mover began is not predicted', async () => {
    const { unpredicted } = await new Forecast(contextOf({}), undefined).facts(signal);
    assert.match(unpredicted ?? '', /ended$/);
  });

  test('a forecast samples nothing if a plan has the facts, or if no memory is sent', async () => {
    const measure = () => assert.fail('the guest was looked at');
    const prediction = { level: 0.8 } as Prediction;
    assert.deepEqual(await factsOf({ measure, prediction }), {});
    assert.deepEqual(await factsOf({ measure, settings: { mode: 'cold' } }), {});
  });
});

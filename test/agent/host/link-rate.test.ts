import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  LinkRates,
  linkKnown,
  seenLinkRate,
  type LinkRatesDependencies,
} from '../../../src/agent/host/link-rate.ts';
import { linkToChooseBy } from '../../../src/migration/prediction/data-path.ts';
import { migrationRequest, migrationSettings } from '../../../src/protocol/public/migration.ts';

const MIB = 1024 ** 2;
const settings = migrationSettings.parse({});
const whole = {
  outcome: 'done',
  finished: 'precopy',
  settings,
  takeovers: 0,
  bytes: 512 * MIB,
  throughput: 12_000_000,
} as const;

describe('the link rate from earlier migrations', () => {
  test('the rate comes from the newest native migration', () => {
    assert.equal(seenLinkRate([whole, { ...whole, throughput: 5 }]), 12_000_000);
  });

  test('the rate is unknown if something other than the link limited those migrations', () => {
    const wire = { levels: [] } as never;
    const held = [
      { ...whole, settings: { ...settings, maxBandwidth: 4 * MIB } },
      { ...whole, settings: { ...settings, compress: 'zstd' as const } },
      { ...whole, stream: { streams: 4, compress: 'zstd' as const } },
      { ...whole, wire },
      { ...whole, outcome: 'failed' as const },
      { ...whole, finished: 'postcopy' as const },
      { ...whole, bytes: MIB },
      // Most of it was zeros.
      { ...whole, memoryBytes: (whole.bytes ?? 0) * 5 },
    ];
    assert.equal(seenLinkRate(held), undefined);
  });

  test('the rate may come from a rehearsal that sent all memory, and never from a migration with post-copy', () => {
    const sent = { ...whole, outcome: 'rehearsed', finished: 'none' } as const;
    const rehearsed = (switches: 'precopy' | 'postcopy', takeovers = 0) => {
      const rehearsal = { switches, maxDowntimeMs: 300 };
      const request = { side: 'source', toHost: 'b', request: {} };
      const report = () => ({ ...sent, phases: [], to: 'b', rehearsal, takeovers });
      const store = { all: () => [{ id: 'm-1', request }], report };
      return new LinkRates({ store } as unknown as LinkRatesDependencies).seen('b');
    };
    assert.equal(rehearsed('precopy'), 12_000_000);
    assert.equal(rehearsed('postcopy'), undefined);
    // The mover that died may have sent it by the wire.
    assert.equal(rehearsed('precopy', 1), undefined);
  });
});

describe('the link rate', () => {
  const link = { rate: 100, how: 'measured', roundTripMs: 1, at: '2026-01-01T00:00:00Z' } as const;
  const why = 'a migration of this host uses its link';

  test('the measured rate counts, even if an earlier migration was faster: the link may have become slower', () => {
    for (const seen of [undefined, 99, 1000])
      assert.deepEqual(linkKnown({ link }, { configured: 7, seen }), { link });
  });

  test('a migration after the measurement raises the rate if it was far faster', () => {
    const known = (seenSince: number, configured?: number) =>
      linkKnown({ link }, { configured, seen: seenSince, seenSince }).link;
    assert.deepEqual(known(125), link);
    // The moment was that of the measurement.
    const { at: _, ...measured } = link;
    const seen = { ...measured, how: 'seen', isLeast: true } as const;
    assert.deepEqual(known(126), { ...seen, rate: 126 });
    assert.deepEqual(known(126, 7), { ...seen, rate: 126 });
    assert.deepEqual(known(126, 500), { ...measured, rate: 500, how: 'configured' });
    // For the choice of a path it is what an earlier migration came to, and no measurement.
    assert.equal(linkToChooseBy(known(112_000_000))?.seenBytesPerS, undefined);

    const request = { side: 'source', toHost: 'b', request: {} };
    const now = (startedAt: string, version = 1) =>
      new LinkRates({
        config: { name: 'a', wire: { rates: {} } },
        store: {
          all: () => [{ id: 'm-1', request: { ...request, version } }],
          report: () => ({ ...whole, phases: [], to: 'b', startedAt }),
        },
        linkMeter: { known: () => link },
      } as unknown as LinkRatesDependencies).now('b');
    assert.deepEqual(now('2025-12-31T23:59:59.999Z'), link);
    assert.deepEqual(now('2026-01-01T00:00:01.000Z'), { ...seen, rate: 12_000_000 });
    // By a manager: its hypervisors may have a link of their own.
    assert.deepEqual(now('2026-01-01T00:00:01.000Z', 2), link);
  });

  test('an earlier migration sets the minimum rate if the agents themselves were slower than the link', () => {
    const slow = { ...link, isLeast: true };
    const { at: _at, ...measured } = link;
    const known = (seen: number) => linkKnown({ link: slow }, { configured: 7, seen });
    assert.deepEqual(known(99), { link: slow });
    const { at: _, ...found } = slow;
    assert.deepEqual(known(101), { link: { ...found, rate: 101, how: 'seen' } });
    // The configuration says what it carries.
    const configured = linkKnown({ link: slow }, { configured: 500, seen: 101 });
    // The moment is that of the measurement.
    assert.deepEqual(configured, { link: { ...measured, rate: 500, how: 'configured' } });
  });

  test('the configured rate, then the observed rate, counts if the link cannot be measured, and the reason stays', () => {
    const known = (configured?: number, seen?: number) => linkKnown({ why }, { configured, seen });
    assert.deepEqual(known(7, 9), { link: { rate: 7, how: 'configured' }, linkUnmeasured: why });
    const link = { rate: 9, how: 'seen', isLeast: true };
    assert.deepEqual(known(undefined, 9), { link, linkUnmeasured: why });
    assert.deepEqual(known(), { linkUnmeasured: why });
  });

  test('the link is measured for --path auto if no rate is configured, and a failed measurement does not end the migration', async () => {
    let asked = 0;
    const nowMs = Date.parse('2026-01-01T01:00:00Z');
    const links = (
      measure: () => Promise<unknown>,
      configured: Record<string, number> = {},
      ...moves: object[]
    ) =>
      new LinkRates({
        clock: { wallMs: () => nowMs },
        config: { name: 'a', wire: { rates: configured } },
        store: {
          all: () =>
            moves.map((_, id) => ({ id, request: { side: 'source', toHost: 'b', request: {} } })),
          report: (id: number) => ({ ...whole, phases: [], to: 'b', ...moves[id] }),
        },
        peers: { address: () => '127.0.0.1:1' },
        linkMeter: {
          measure: () => {
            asked += 1;
            return measure();
          },
        },
      } as unknown as LinkRatesDependencies);
    await links(async () => ({ why: 'busy' })).measured('b');
    await links(() => Promise.reject(new Error('too late'))).measured('b');
    assert.equal(asked, 2);
    await links(() => assert.fail('it is configured'), { b: 5_000_000 }).measured('b');
    assert.equal(asked, 2);

    // A move of these minutes that came to more than a link of 1 Gbit/s carries tells as much.
    const move = { startedAt: '2026-01-01T00:55:00.000Z', throughput: 200_000_000 };
    await links(() => assert.fail('it was seen'), {}, move).measured('b');
    const slower = { ...move, throughput: 100_000_000 };
    const older = { ...move, startedAt: '2026-01-01T00:45:00.000Z' };
    for (const one of [slower, older])
      await links(async () => ({ why: '' }), {}, one).measured('b');
    assert.equal(asked, 4);
  });
});

describe('a share of the link', () => {
  const MB = 1e6;
  const asked = migrationRequest.parse({ guest: 'web1', to: 'b', linkShare: 0.7 });
  /** `measured`: what the link to b is measured to carry, bytes/s. */
  const rates = (measured: number | undefined, configured?: number): LinkRates =>
    new LinkRates({
      config: { name: 'a', wire: { rates: configured === undefined ? {} : { b: configured } } },
      store: { all: () => [] },
      peers: { address: () => '127.0.0.1:1' },
      linkMeter: {
        measure: async () =>
          measured === undefined ? { why: 'busy' } : { link: { rate: measured, how: 'measured' } },
      },
    } as unknown as LinkRatesDependencies);

  test('the share applies to the rate that is measured when the migration is requested', async () => {
    assert.equal(await rates(100 * MB).shareOf(asked), 70 * MB);
    assert.equal(await rates(100 * MB, 5 * MB).shareOf(asked), 70 * MB);
    const { linkShare, ...whole } = asked;
    assert.equal(linkShare, 0.7);
    assert.equal(await rates(100 * MB).shareOf(whole), undefined);
  });

  test('the share applies to the configured rate if the link is in use', async () => {
    assert.equal(await rates(undefined, 10 * MB).shareOf(asked), 7 * MB);
  });

  test('a share of an unknown link is refused: without a cap the migration would use the whole link', async () => {
    await assert.rejects(rates(undefined).shareOf(asked), { code: 'GODWIT_LINK_UNKNOWN' });
  });
});

test("the phases around memory are from this host's own outgoing moves, the latest first", () => {
  const side = (id: string, of: 'source' | 'destination') => ({ id, request: { side: of } });
  const all = [
    ...Array.from({ length: 20 }, (_, index) => side(`old${index}`, 'source')),
    ...Array.from({ length: 9 }, (_, index) => side(`new${index}`, 'source')),
    side('came', 'destination'),
  ];
  const checking: Record<string, number> = { old: 9000, new: 1000 };
  const report = (id: string) => ({
    outcome: 'done',
    finished: 'precopy',
    phases: [{ phase: 'checking', ms: checking[id.slice(0, 3)] ?? assert.fail(`${id} is read`) }],
  });
  const store = { all: () => all, report };
  assert.equal(new LinkRates({ store } as unknown as LinkRatesDependencies).aroundMs(7), 1000);
  const none = { ...store, all: () => all.slice(-1) };
  assert.equal(new LinkRates({ store: none } as unknown as LinkRatesDependencies).aroundMs(7), 7);
});

test('the times of containers do not count for virtual machines, and the reverse', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('criu', 'qemu'), fc.integer({ min: 1, max: 9000 })), {
        maxLength: 20,
      }),
      (moves) => {
        const all = moves.map(([driver], index) => ({
          id: String(index),
          request: { side: 'source', toHost: 'b', handle: { driver } },
        }));
        const settings = { streams: 1, maxDowntimeMs: 300 };
        const report = (id: string) => {
          const downtimeMs = moves[Number(id)]?.[1];
          return { outcome: 'done', finished: 'precopy', to: 'b', settings, downtimeMs };
        };
        const links = new LinkRates({
          store: { all: () => all, report },
        } as unknown as LinkRatesDependencies);
        for (const driver of ['criu', 'qemu'])
          assert.deepEqual(
            links.movesTo('b', driver).map(({ downtimeMs }) => downtimeMs),
            moves.flatMap(([of, ms]) => (of === driver ? [ms] : [])).toReversed(),
          );
      },
    ),
  );
});

test('a journal that was damaged after its migration ended is ignored and does not block the others', () => {
  const request = { side: 'source', toHost: 'b', request: {} };
  const all = ['m-old', 'm-damaged'].map((id) => ({ id, request }));
  const report = (id: string) => {
    if (id === 'm-damaged') throw new Error('its journal is damaged');
    return whole;
  };
  const store = { all: () => all, report };
  const links = new LinkRates({ store } as unknown as LinkRatesDependencies);
  assert.equal(links.seen('b'), whole.throughput);
});

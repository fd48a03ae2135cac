import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  adviceFor,
  contradiction,
  nameOf,
  others,
  planned,
  type PlanFacts,
} from '../../../src/migration/prediction/plan.ts';
import { steeringStrategy } from '../../../src/protocol/public/steering.ts';
import { parseDuration } from '../../../src/protocol/quantity.ts';
import { planOption } from '../../../src/protocol/public/plan.ts';
import { anyFacts, guest, MIB } from './samples.ts';

const capabilities = {
  modes: ['precopy', 'postcopy', 'hybrid'],
  compression: ['none', 'zstd', 'xbzrle'],
  maxStreams: 16,
} as const;

function facts(dirtyMib: number, more: Partial<PlanFacts> = {}): PlanFacts {
  const stream = { streams: 1, compress: 'none' } as const;
  return {
    ...guest(dirtyMib),
    asked: { mode: 'precopy', path: 'native', stream },
    capabilities,
    hasWire: false,
    knowsGuest: false,
    copiesDisks: false,
    stateBytes: 0,
    ...more,
  };
}

const stopOf = (given: PlanFacts): string | undefined => contradiction(given, planned(given))?.what;

const advice = (given: PlanFacts): string =>
  adviceFor(given, planned(given), others(given)).join('\n');

describe('a plan', () => {
  test("a plan covers the requested option, and lists the driver's others", () => {
    const given = facts(10);
    assert.equal(planned(given).mode, 'precopy');
    const names = others(given).map((each) => nameOf(each));
    assert.equal(new Set(names).size, names.length);
    assert.ok(!names.includes('--mode precopy') && names.includes('--mode postcopy'));
    assert.ok(names.every((each) => !each.includes('wire')));
    const little = { modes: ['precopy'], compression: ['none'], maxStreams: 1 } as const;
    assert.deepEqual(others({ ...given, capabilities: little }), []);
    assert.ok(others({ ...given, hasWire: true }).some(({ path }) => path === 'wire'));
  });

  test('a plan does not suggest XBZRLE, and reports its unknown savings if it was requested', () => {
    assert.ok(others(facts(400)).every(({ stream }) => stream.compress !== 'xbzrle'));
    const asked = { ...facts(10).asked, stream: { streams: 1, compress: 'xbzrle' } } as const;
    assert.match(advice(facts(10, { asked })), /what XBZRLE saves .* is assumed/);
    assert.doesNotMatch(advice(facts(10)), /XBZRLE/);
  });

  test("a plan lists the driver's zstd levels, and uses the next measured one for a requested level", () => {
    const named = (more: object) =>
      others(facts(10, { capabilities: { ...capabilities, ...more } })).map((each) => nameOf(each));
    const levels = (names: string[]) => names.filter((each) => each.includes('--compress-level'));
    assert.deepEqual(levels(named({})), []);
    assert.deepEqual(levels(named({ compressLevels: true })).toSorted(), [
      '--mode precopy --streams 4 --compress zstd --compress-level 3',
      '--mode precopy --streams 4 --compress zstd --compress-level 9',
    ]);
    const bytesAt = (compressLevel?: number) => {
      const stream = { streams: 4, compress: 'zstd', compressLevel } as const;
      return planned(facts(10, { asked: { mode: 'precopy', path: 'native', stream } })).bytes
        .middle;
    };
    assert.equal(bytesAt(), bytesAt(1));
    assert.equal(bytesAt(2), bytesAt(3));
    assert.equal(bytesAt(7), bytesAt(9));
    assert.ok(bytesAt(1) > bytesAt(3) && bytesAt(3) > bytesAt(9));
  });

  test('a plan lists options that end before the others, the fastest first', () => {
    fc.assert(
      fc.property(anyFacts, (any) => {
        const found = others({ ...facts(0), ...any });
        const last = found.findLastIndex(({ converges }) => converges.probability >= 0.95);
        const ending = found.slice(0, last + 1);
        assert.ok(ending.every(({ converges }) => converges.probability >= 0.95));
        const times = ending.map(({ totalMs }) => totalMs.middle);
        assert.deepEqual(
          times,
          times.toSorted((left, right) => left - right),
        );
        for (const each of found) planOption.parse(each);
      }),
      { numRuns: 30 },
    );
  });

  test('a plan that never ends names a downtime or a mode that would', () => {
    assert.equal(advice(facts(10, { copiesDisks: false })).includes('ends:'), false);
    const said = advice(facts(400));
    assert.match(said, /--mode \w+.* ends: /);
  });

  test('a plan writes a downtime in the format of the command line', () => {
    const downtime = /--max-downtime (\S+) would let it end in /;
    const found = [20, 40, 60, 80].flatMap(
      (dirty) => downtime.exec(advice(facts(dirty)))?.[1] ?? [],
    );
    assert.ok(found.length > 0);
    for (const text of found) assert.ok(parseDuration(text) > facts(0).settings.maxDowntimeMs);
  });

  test('a plan with a strategy names no mode, and reports that post-copy has no rollback', () => {
    const steered = (steering: PlanFacts['settings']['steering']): string =>
      advice(facts(400, { settings: { ...facts(400).settings, steering } }));
    const named = (instead: string): RegExp =>
      new RegExp(
        `^--mode \\w+${instead} ends: .*; there is no rollback once post-copy has begun$`,
        'm',
      );
    assert.match(steered(undefined), named(''));
    assert.match(steered('gentle'), named(' instead of --steering gentle'));
    assert.match(
      steered(steeringStrategy.parse({ name: 'ours' })),
      named(' instead of --steering-file'),
    );
    const settings = { ...facts(1).settings, maxBandwidth: 2 * MIB };
    assert.doesNotMatch(advice(facts(1, { settings })), /rollback/);
  });

  test('a plan names the time that a guest needs to end only if it would end', () => {
    const of = (dirtyMib: number, timeoutMs: number): string =>
      advice(facts(dirtyMib, { settings: { ...facts(0).settings, timeoutMs } }));
    const [, ms = ''] = /^it would end within (.*): allow it that long$/m.exec(of(1, 2000)) ?? [];
    assert.ok(parseDuration(ms.replaceAll(' ', '')) > 2000, ms);
    for (const given of [of(1, 600_000), of(600, 2000)]) assert.doesNotMatch(given, /it that long/);
  });

  test('a plan reports its omissions', () => {
    assert.match(advice(facts(10, { copiesDisks: true })), /its disks are copied first/);
    const disks = { bytes: MIB };
    assert.doesNotMatch(advice(facts(10, { copiesDisks: true, disks })), /its disks/);
    assert.match(advice(facts(10, { mix: undefined })), /nobody could look at its pages/);
    assert.match(advice(facts(10, { link: undefined })), /the link is not known/);
  });

  test('a plan suggests an option that is much faster, and none that is barely faster', () => {
    const settings = { ...facts(10).settings, maxBandwidth: 2 * MIB };
    assert.match(advice(facts(1, { settings })), /--compress zstd is predicted to take/);
    const random = { zero: 0, duplicate: 0, packed: 1 };
    assert.equal(advice(facts(1, { mix: random, settings })), '');
  });

  test('a plan whose time does not suffice for one pass is refused with the arithmetic', () => {
    const settings = { ...facts(0).settings, maxBandwidth: MIB, timeoutMs: 10_000 };
    const given = facts(0, { settings });
    assert.match(
      contradiction(given, planned(given))?.what ?? '',
      / at 1 MiB\/s take .* 10\.0 s are allowed/,
    );
    assert.equal(contradiction(facts(400), planned(facts(400))), undefined);
  });

  test("a lower bound of the link's rate never refuses a plan for its time, and a cap still does", () => {
    const settings = { ...facts(0).settings, timeoutMs: 10_000 };
    const link = { rate: MIB, how: 'measured', roundTripMs: 1 } as const;
    assert.match(stopOf(facts(0, { settings, link })) ?? '', / at 1 MiB\/s take /);
    const least = { ...link, isLeast: true };
    assert.equal(stopOf(facts(0, { settings, link: least })), undefined);
    const tight = /^one pass takes .* by a link of at least 1 MiB\/s, and 10\.0 s are allowed$/m;
    assert.match(advice(facts(0, { settings, link: least })), tight);
    const patient = { ...settings, timeoutMs: 3_600_000 };
    assert.doesNotMatch(advice(facts(0, { settings: patient, link: least })), /one pass takes/);
    assert.doesNotMatch(advice(facts(0, { settings, link })), /one pass takes/);
    const capped = { ...settings, maxBandwidth: 2 * MIB };
    assert.match(
      stopOf(facts(0, { settings: capped, link: least })) ?? '',
      / at 2 MiB\/s take .* 10\.0 s are allowed/,
    );
    // What devices send while the guest stands still is bounded by it as little.
    const stateBytes = 256 * MIB;
    assert.match(stopOf(facts(0, { link, stateBytes })) ?? '', /device state/);
    assert.equal(stopOf(facts(0, { link: least, stateBytes })), undefined);
  });

  test('a plan whose downtime is too short for the device state alone is refused with the arithmetic', () => {
    const settings = { ...facts(1).settings, maxDowntimeMs: 100 };
    const given = facts(1, { settings, stateBytes: 256 * MIB });
    assert.match(
      contradiction(given, planned(given))?.what ?? '',
      /^256 MiB of device state at .*\/s at most take 1\.4 s while the guest is stopped, and 100 ms are allowed$/,
    );
  });

  test('a plan is refused for its downtime only if that is certain, and never for a better link or limit', () => {
    const bytes = fc.integer({ min: 0, max: 2 ** 36 });
    fc.assert(
      fc.property(
        anyFacts,
        bytes,
        bytes,
        fc.integer({ min: 1, max: 100 }),
        (any, one, two, more) => {
          const refuses = (stateBytes: number, given = any): boolean =>
            /device state/.test(stopOf({ ...facts(0), ...given, stateBytes }) ?? '');
          assert.equal(refuses(0), false);
          if (refuses(Math.min(one, two))) assert.ok(refuses(Math.max(one, two)));
          const { settings, link } = any;
          const { maxDowntimeMs, maxBandwidth, mode } = settings;
          const longer = { ...any, settings: { ...settings, maxDowntimeMs: maxDowntimeMs * more } };
          const faster = { ...any, link: link && { ...link, rate: link.rate * more } };
          if (!refuses(one)) assert.ok(!refuses(one, longer) && !refuses(one, faster));
          // What an earlier migration sent bounds nothing, and without a link nothing but the cap does.
          const guesses = link === undefined || link.how === 'seen' ? Infinity : link.rate;
          const fits = (one / Math.min(guesses, maxBandwidth ?? Infinity)) * 1000 <= maxDowntimeMs;
          if (fits || mode !== 'precopy') assert.equal(refuses(one), false);
        },
      ),
    );
  });

  test('a plan warns that the predicted switch exceeds the limit, and calls that a guess', () => {
    const settings = { ...facts(1).settings, maxDowntimeMs: 1 };
    const given = facts(1, { settings });
    assert.equal(contradiction(given, planned(given)), undefined);
    assert.match(advice(given), /predicted to be paused for .* at least, and 1 ms are allowed/);
    assert.doesNotMatch(advice(facts(1)), /stand still/);
  });
});

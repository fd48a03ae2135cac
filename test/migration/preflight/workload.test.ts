import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judgeWorkload, type WorkloadFacts } from '../../../src/migration/preflight/workload.ts';
import { comparableRate, RATE_WINDOW_MS } from '../../../src/migration/prediction/curve.ts';
import { expected } from '../../../src/migration/prediction/predict.ts';
import { anyFacts } from '../prediction/samples.ts';

const PLAIN = { mode: 'precopy', streams: 1, compress: 'none', maxDowntimeMs: 100 } as const;

function words(facts: Partial<WorkloadFacts>): string {
  const [finding, ...more] = judgeWorkload({ settings: PLAIN, ...facts });
  assert.deepEqual(more, []);
  return `${finding?.verdict}: ${finding?.evidence} ${finding?.hint ?? ''}`;
}

test("the guest's workload is reported, and so is a workload that was never measured", () => {
  assert.match(words({}), /^pass: nobody has seen/);
  const load = { cores: 1.24, writtenBytesPerS: 3_000_000, inBytesPerS: 1_000_000 };
  assert.match(
    words({ load }),
    /^pass: in the last minute it used 1\.2 processors, .* to its disks/,
  );
});

test("a downtime beyond the owner's limit causes a warning with the option that keeps to it", () => {
  assert.match(
    words({ ownersDowntimeMs: 60 }),
    /^warn: its owner allows 60 ms .* and 100 ms are asked for .*--max-downtime 60ms/,
  );
  assert.match(words({ ownersDowntimeMs: 100 }), /^pass: .*its owner allows 100 ms/);
  // Post-copy has no such limit.
  const settings = { ...PLAIN, mode: 'postcopy' } as const;
  assert.match(words({ ownersDowntimeMs: 60, settings }), /^pass/);
  // Hybrid may end by pre-copy, with all of the downtime that was asked for.
  const hybrid = { ...PLAIN, mode: 'hybrid' } as const;
  assert.match(words({ ownersDowntimeMs: 60, settings: hybrid }), /^warn: .* are asked for/);
});

test('a guest with timing limits causes a warning if it may be throttled, or wait for pages', () => {
  const isRealtime = true;
  for (const mode of ['postcopy', 'hybrid'] as const)
    assert.match(
      words({ isRealtime, settings: { ...PLAIN, mode } }),
      new RegExp(`^warn: .*real time.*--mode ${mode} may let it wait for pages .*gentle`),
    );
  const by = (steering: 'gentle' | 'must-finish' | 'no-postcopy'): string =>
    words({ isRealtime, settings: { ...PLAIN, steering } });
  assert.match(by('must-finish'), /^warn: .*its strategy may /);
  assert.match(by('no-postcopy'), /^warn: .*its strategy may slow it down/);
  assert.match(by('gentle'), /^pass/);
  assert.match(words({ isRealtime }), /^pass/);
  // Both labels are judged, and no hint of one goes against the other.
  const settings = { ...PLAIN, mode: 'hybrid' } as const;
  const both = judgeWorkload({ isRealtime, ownersDowntimeMs: 60, settings });
  assert.deepEqual(
    both.map(({ verdict }) => verdict),
    ['warn', 'warn'],
  );
  assert.doesNotMatch(words({ isRealtime, ownersDowntimeMs: 5 }), /postcopy/);
  assert.match(words({ settings: { ...PLAIN, steering: 'must-finish' } }), /^pass/);
});

test('a limit below the time of the device state alone causes a warning, whatever is requested', () => {
  const settings = { ...PLAIN, maxDowntimeMs: 5 };
  assert.match(words({ ownersDowntimeMs: 5, settings }), /^warn: .*devices alone takes .*postcopy/);
});

test('a guest whose traffic uses much of the link causes a warning, unless room is left for it', () => {
  const busy = { load: { cores: 1, outBytesPerS: 50_000_000 }, linkRate: 125_000_000 };
  assert.match(words(busy), /^warn: its own traffic is .*--link-share/);
  assert.match(words({ ...busy, settings: { ...PLAIN, linkShare: 0.6 } }), /^pass/);
  assert.match(words({ ...busy, settings: { ...PLAIN, maxBandwidth: 10_000_000 } }), /^pass/);
  assert.match(words({ ...busy, linkRate: 1_250_000_000 }), /^pass/);
  // Nobody knows what the link carries.
  assert.match(words({ load: busy.load }), /^pass/);
});

test('a guest that writes faster than memory moves causes a warning if only pre-copy may end it', () => {
  const busy = { dirtyBytesPerS: 30_000_000, linkRate: 12_500_000 };
  assert.match(words(busy), /^warn: it wrote .* does not end .*--steering standard/);
  assert.match(words({ ...busy, linkRate: 125_000_000 }), /^pass/);
  // Nobody knows the link, and the cap is below it in any case.
  assert.match(words({ dirtyBytesPerS: 30_000_000 }), /^pass/);
  const capped = { ...PLAIN, maxBandwidth: 10_000_000 };
  assert.match(words({ dirtyBytesPerS: 30_000_000, settings: capped }), /^warn/);
  // QEMU sends at 1.25 MiB/s under any lower cap.
  const low = { ...PLAIN, maxBandwidth: 100_000 };
  assert.match(words({ dirtyBytesPerS: 1_300_000, settings: low }), /^pass/);
  assert.match(words({ dirtyBytesPerS: 1_320_000, settings: low }), /^warn/);
  assert.match(
    words({ ...busy, linkRate: 40_000_000, settings: { ...PLAIN, linkShare: 0.6 } }),
    /^warn/,
  );
  for (const other of [
    { mode: 'hybrid' },
    { mode: 'postcopy' },
    { steering: 'standard' },
    { compress: 'zstd' },
    { path: 'wire' },
    { path: 'auto' },
    { whenQuiet: { withinMs: 60_000 } },
    { maxDowntimeMs: RATE_WINDOW_MS },
  ] as const)
    assert.match(words({ ...busy, settings: { ...PLAIN, ...other } }), /^pass/);
});

test('the warning is right: no plan of such a guest reports that pre-copy ends', () => {
  fc.assert(
    fc.property(anyFacts, (given) => {
      const facts = {
        ...given,
        memoryPath: 'plain' as const,
        // What is written may be zeros again, and a pass over them is over at once.
        mix: undefined,
        hintedFreeBytes: undefined,
        settings: {
          ...given.settings,
          mode: 'precopy' as const,
          steering: undefined,
          maxDowntimeMs: 300,
        },
      };
      const dirtyBytesPerS = comparableRate(facts) ?? 0;
      const linkRate = facts.link?.rate;
      const { maxBandwidth } = facts.settings;
      const said = words({
        dirtyBytesPerS,
        linkRate,
        settings: { ...PLAIN, ...(maxBandwidth === undefined ? {} : { maxBandwidth }) },
      });
      fc.pre(said.startsWith('warn'));
      assert.equal(expected(facts).ends, false);
    }),
  );
});

test('a guest that writes much to copied disks causes a warning with their copy rate', () => {
  const load = { cores: 1, writtenBytesPerS: 60_000_000 };
  const of = (linkRate: number | undefined, more: Partial<WorkloadFacts> = {}) =>
    words({ load, linkRate, copiesDisks: true, ...more });
  assert.match(of(50_000_000), /^warn: it writes .* at most: its writes may have to wait/);
  const refuses = { ...PLAIN, diskWrites: 'refuse' } as const;
  assert.match(of(50_000_000, { settings: refuses }), /^warn: .* given up \(GODWIT_DISK_BUSY\)/);
  for (const settings of [PLAIN, refuses])
    assert.match(of(100_000_000, { settings }), /^warn: it writes .*: much may be copied again/);
  assert.match(of(125_000_000), /^pass/);
  assert.match(of(undefined), /^pass/);
  const settings = { ...PLAIN, maxBandwidth: 50_000_000 };
  assert.match(of(undefined, { settings }), /^warn: .* its writes may have to wait/);
  // Nobody copies them, or nobody knows yet whether.
  for (const copiesDisks of [false, undefined]) assert.match(of(1e6, { copiesDisks }), /^pass/);
});

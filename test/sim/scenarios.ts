import type { Scenario } from '../../sim/scenario.ts';

/** Scenarios that have broken a rule once, with the defect that was behind it. Each is a test for good. */
export interface RegressionScenario {
  readonly what: string;
  readonly scenario: Scenario;
}

const CALM: Scenario = {
  noise: 1,
  mode: 'precopy',
  memoryMiB: 128,
  dirtyMiB: 10,
  linkMiB: 400,
  timeoutMs: 60_000,
  hybridRounds: 4,
  refused: false,
  faults: [],
  calls: [],
};

/** A migration on which nothing else was peculiar, with these faults. */
export function scenario(given: Partial<Scenario>): Scenario {
  return { ...CALM, ...given };
}

export const FOUND: readonly RegressionScenario[] = [
  {
    what: 'a guest that came cold, and whose host lost its power before the record that it ran was synced, was in that migration for ever (seed 757)',
    scenario: scenario({
      noise: 2_919_930_870,
      fleet: true,
      mode: 'cold',
      dirtyMiB: 0,
      linkMiB: 2000,
      hybridRounds: 2,
      faults: [
        {
          when: { at: 'deed', host: 'b', nth: 25, edge: 'before' },
          deed: { kind: 'power loss', host: 'b', forMs: 234_537 },
        },
      ],
    }),
  },
  {
    what: 'a recovery whose guest ran, and whose host then lost its power, went on for ever',
    scenario: scenario({
      noise: 14,
      fleet: true,
      memoryMiB: 16,
      linkMiB: 1000,
      hybridRounds: 2,
      faults: [
        { when: { at: 'stream', state: 'active', afterMs: 0 }, deed: { kind: 'cancel' } },
        {
          when: { at: 'time', ms: 5000 },
          deed: { kind: 'power loss', host: 'a', forMs: 400_000 },
        },
        { when: { at: 'time', ms: 20_000 }, deed: { kind: 'recover', host: 'c', from: 'a' } },
        {
          when: { at: 'deed', host: 'c', nth: 14, edge: 'after' },
          deed: { kind: 'power loss', host: 'c', forMs: 120_000 },
        },
        { when: { at: 'time', ms: 160_000 }, deed: { kind: 'recover', host: 'b', from: 'a' } },
      ],
    }),
  },
  {
    what: 'post-copy was lost because the destination could not write its commit for 0.3 s (seed 249)',
    scenario: scenario({
      noise: 1_111_757_376,
      mode: 'postcopy',
      dirtyMiB: 8000,
      timeoutMs: 8109,
      faults: [
        {
          when: { at: 'stream', state: 'postcopy-active', afterMs: 0 },
          deed: { kind: 'disk read-only', host: 'b', forMs: 307 },
        },
      ],
    }),
  },
  {
    what: 'a destination that could not write `finished` stayed for ever (seed 155)',
    scenario: scenario({
      noise: 659_430_829,
      faults: [
        {
          when: { at: 'deed', host: 'a', nth: 28, edge: 'after' },
          deed: { kind: 'disk read-only', host: 'b', forMs: 1556 },
        },
      ],
    }),
  },
  {
    what: 'a destination whose `released` was not synced stayed for ever (seed 443)',
    scenario: scenario({
      noise: 1_327_431_845,
      memoryMiB: 512,
      dirtyMiB: 0,
      linkMiB: 2000,
      faults: [
        {
          when: { at: 'deed', host: 'b', nth: 6, edge: 'after' },
          deed: { kind: 'disk broken', host: 'b', forMs: 13_011 },
        },
      ],
      calls: [{ call: 'source.ports', how: 'before', times: 2, forMs: 8000 }],
    }),
  },
  {
    what: 'a source that could not sync a cancel went on and sent its commit (seed 6353)',
    scenario: scenario({
      noise: 2_340_341_413,
      memoryMiB: 16,
      dirtyMiB: 50,
      linkMiB: 2000,
      hybridRounds: 2,
      faults: [
        {
          when: { at: 'stream', state: 'device', afterMs: 0 },
          deed: { kind: 'disk broken', host: 'a', forMs: 6824 },
        },
        { when: { at: 'stream', state: 'completed', afterMs: 0 }, deed: { kind: 'cancel' } },
      ],
    }),
  },
  {
    what: 'a mover that took over in post-copy did not speak to the destination (seed 5092)',
    scenario: scenario({
      noise: 4_006_761_941,
      mode: 'postcopy',
      memoryMiB: 512,
      dirtyMiB: 500,
      faults: [
        {
          when: { at: 'deed', host: 'a', nth: 38, edge: 'before' },
          deed: { kind: 'kill mover', host: 'a' },
        },
        {
          when: { at: 'deed', host: 'a', nth: 62, edge: 'before' },
          deed: { kind: 'cancel' },
        },
        {
          when: { at: 'deed', host: 'a', nth: 45, edge: 'after' },
          deed: { kind: 'link cut', forMs: 346 },
        },
      ],
    }),
  },
  {
    what: 'a destination that lost power with its guest, and could not be asked once, stayed for ever (seed 11537)',
    scenario: scenario({
      noise: 3_868_498_400,
      linkMiB: 1000,
      hybridRounds: 2,
      faults: [
        {
          when: { at: 'deed', host: 'a', nth: 30, edge: 'after' },
          deed: { kind: 'power loss', host: 'b', forMs: 13_032 },
        },
      ],
      calls: [{ call: 'destination.status', how: 'before', times: 1, forMs: 8000 }],
    }),
  },
  {
    what: 'a clock that was set back an hour gave memory an hour more after a takeover (seed 400195)',
    scenario: scenario({
      mode: 'precopy',
      memoryMiB: 512,
      dirtyMiB: 8000,
      faults: [
        {
          when: { at: 'time', ms: 1948 },
          deed: { kind: 'clock step', host: 'a', byMs: -3_600_000 },
        },
        { when: { at: 'time', ms: 11_312 }, deed: { kind: 'kill mover', host: 'a' } },
      ],
    }),
  },
  {
    what: 'a hypervisor that could not be asked after a reboot was never asked again (seed 410451)',
    scenario: scenario({
      mode: 'hybrid',
      faults: [
        {
          when: { at: 'stream', state: 'completed', afterMs: 60 },
          deed: { kind: 'power loss', host: 'b', forMs: 30_803 },
        },
      ],
      calls: [{ call: 'destination.status', how: 'before', times: 2, forMs: 8000 }],
    }),
  },
  {
    what: 'the order to let the devices’ state go failed after its effect, and post-copy was held (seed 13602)',
    scenario: scenario({
      mode: 'hybrid',
      dirtyMiB: 8000,
      linkMiB: 1000,
      hybridRounds: 1,
      calls: [{ call: 'source.continueSwitchover', how: 'after', times: 1, forMs: 0 }],
    }),
  },
  {
    what: 'a mover that took over at the switch could not ask its hypervisor once, and held (seed 13912)',
    scenario: scenario({
      mode: 'postcopy',
      dirtyMiB: 500,
      faults: [
        {
          when: { at: 'stream', state: 'pre-switchover', afterMs: 0 },
          deed: { kind: 'kill mover', host: 'a' },
        },
      ],
      calls: [{ call: 'source.status', how: 'after', times: 1, forMs: 0 }],
    }),
  },
  {
    what: 'post-copy that flowed was held when the user’s time was over (seed 1529)',
    scenario: scenario({ mode: 'postcopy', memoryMiB: 512, dirtyMiB: 500, timeoutMs: 1228 }),
  },
  {
    what: 'an order to stop that crossed the stream’s end was taken for one to a dead stream (seed 197)',
    scenario: scenario({
      noise: 3_680_691_276,
      mode: 'postcopy',
      memoryMiB: 16,
      dirtyMiB: 100,
      linkMiB: 2000,
      hybridRounds: 1,
      faults: [
        {
          when: { at: 'stream', state: 'active', afterMs: 5 },
          deed: { kind: 'kill hypervisor', host: 'b' },
        },
      ],
    }),
  },
];

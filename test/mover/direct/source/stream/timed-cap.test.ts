import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamChange } from '../../../../../src/port/stream-change.ts';
import { silentLog } from '../../../../../src/log.ts';
import {
  initialSource,
  type SourceEvent,
  type SourceState,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { transition } from '../../../../../src/migration/direct/source/transition.ts';
import type { Timetable } from '../../../../../src/migration/steering/timetable.ts';
import { TimedCap } from '../../../../../src/mover/direct/source/stream/timed-cap.ts';
import type { MigrationSettings } from '../../../../../src/protocol/public/migration.ts';
import { planned } from '../../../../migration/direct/samples.ts';

type Dependencies = ConstructorParameters<typeof TimedCap>[0];

const MB = 1_000_000;
const { signal } = new AbortController();
/** At every time of day. */
const always = (bytesPerS: number): Timetable => [{ hours: '00:00-24:00', bytesPerS }];
/** A table that never holds now: the hours of a day that is not today. */
const notToday = (): Timetable => {
  const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
  return [{ hours: `${days[(new Date().getDay() + 3) % 7]} 00:00-12:00`, bytesPerS: MB }];
};

interface Setup {
  readonly settings?: Partial<MigrationSettings>;
  readonly step?: 'memory' | 'drain' | 'mirror';
  readonly takes?: 'wire';
}

/** A migration of a host with that timetable, and what was set on what runs. */
function stage(timetable: Timetable, { settings = {}, step = 'memory', takes }: Setup = {}) {
  const first = initialSource(planned(settings)).state;
  const path = takes === undefined ? {} : { path: { takes, why: 'so' } };
  const seen = {
    state: { ...first, known: path, doing: { kind: 'do', step } } as SourceState,
    timetable,
    holds: false,
    holdsSwitch: false,
    fails: false,
  };
  const stream: StreamChange[] = [];
  const wire: (number | undefined)[] = [];
  const disks: (number | undefined)[] = [];
  const bases: (number | undefined)[] = [];
  const events: SourceEvent[] = [];
  const adjust = async (change: StreamChange): Promise<void> => {
    if (seen.fails) throw new Error('the monitor is busy');
    stream.push(change);
  };
  const context = {
    get config() {
      return { name: 'a', limits: { bandwidth: seen.timetable } };
    },
    state: () => seen.state,
    dispatch: (event: SourceEvent) => {
      events.push(event);
      seen.state = transition(seen.state, event).state;
    },
    guest: { session: async () => ({ adjust }) },
    disks: {
      limit: (cap: number | undefined) => disks.push(cap),
      get holdsSwitch() {
        return seen.holdsSwitch;
      },
    },
    backingFiles: { limit: (cap: number | undefined) => bases.push(cap) },
    dataPath: { limit: (cap: number | undefined) => wire.push(cap) },
    pace: {
      get isHolding() {
        return seen.holds;
      },
    },
  } as unknown as Dependencies;
  let cap = new TimedCap(context, silentLog, false);
  const look = (): Promise<void> => cap.saw(signal);
  const takeOver = (): void => void (cap = new TimedCap(context, silentLog, true));
  const said = (): unknown[] => events.map((each) => each.type === 'capped' && each.bytesPerS);
  return { seen, stream, wire, disks, bases, events, look, takeOver, said };
}

describe('a timed cap', () => {
  test('a timed cap is set at the first look, and removed when its hours are over', async () => {
    const { seen, stream, wire, disks, bases, look, said } = stage(always(20 * MB));
    await look();
    await look();
    assert.deepEqual(stream, [{ maxBandwidth: 20 * MB }]);
    seen.timetable = notToday();
    await look();
    assert.deepEqual(stream, [{ maxBandwidth: 20 * MB }, { maxBandwidth: 0 }]);
    assert.deepEqual(wire, [20 * MB, undefined]);
    for (const each of [disks, bases]) assert.deepEqual(each, [20 * MB, undefined]);
    assert.deepEqual(said(), [20 * MB, 0]);
    assert.deepEqual(seen.state.capped, { now: 0, least: 20 * MB });
  });

  test('a timed cap yields to a lower cap of the request', async () => {
    const low = stage(always(20 * MB), { settings: { maxBandwidth: 5 * MB } });
    await low.look();
    assert.deepEqual([low.stream, low.events], [[{ maxBandwidth: 5 * MB }], []]);
    const high = stage(always(20 * MB), { settings: { maxBandwidth: 50 * MB } });
    await high.look();
    assert.deepEqual(high.said(), [20 * MB]);
    high.seen.timetable = notToday();
    await high.look();
    assert.deepEqual(high.stream.at(-1), { maxBandwidth: 50 * MB });
    assert.deepEqual(high.said(), [20 * MB, 0]);
  });

  test('a timed cap over the wire leaves the hypervisor alone, which sends to the mover', async () => {
    const { stream, wire, look } = stage(always(MB), { takes: 'wire' });
    await look();
    assert.deepEqual([stream, wire], [[], [MB]]);
  });

  test('a timed cap waits for the stream while disks are copied', async () => {
    const { seen, stream, disks, look, said } = stage(always(MB), { step: 'mirror' });
    await look();
    assert.deepEqual([stream, disks], [[], [MB]]);
    seen.state = { ...seen.state, doing: { kind: 'do', step: 'memory' } };
    await look();
    assert.deepEqual(stream, [{ maxBandwidth: MB }]);
    assert.deepEqual(said(), [MB]);
  });

  test('a timed cap does not release memory that is held back for the switch', async () => {
    const { seen, stream, look } = stage(always(MB));
    seen.holds = true;
    await look();
    assert.deepEqual(stream, []);
    seen.holds = false;
    await look();
    assert.deepEqual(stream, [{ maxBandwidth: MB }]);
  });

  test('a timed cap limits disk copies, and leaves memory alone that waits for their path', async () => {
    const { seen, stream, disks, look } = stage(always(MB));
    seen.holdsSwitch = true;
    await look();
    assert.deepEqual([stream, disks], [[], [MB]]);
    seen.holdsSwitch = false;
    seen.timetable = always(2 * MB);
    await look();
    assert.deepEqual([stream, disks], [[{ maxBandwidth: 2 * MB }], [MB, 2 * MB]]);
  });

  test('a timed cap that could not be set is set at the next look, and is not reported before', async () => {
    const { seen, stream, look, said } = stage(always(MB));
    seen.fails = true;
    await look();
    assert.deepEqual(said(), []);
    seen.fails = false;
    await look();
    assert.deepEqual([stream, said()], [[{ maxBandwidth: MB }], [MB]]);
  });

  test('a mover that takes over sets the timed cap again, and reports it once', async () => {
    const { stream, look, takeOver, said } = stage(always(MB));
    await look();
    takeOver();
    await look();
    assert.deepEqual(stream, [{ maxBandwidth: MB }, { maxBandwidth: MB }]);
    assert.deepEqual(said(), [MB]);
  });

  test('a mover that takes over lifts a timed cap that is no longer configured', async () => {
    const { seen, stream, look, takeOver, said } = stage(always(MB));
    await look();
    takeOver();
    seen.timetable = [];
    await look();
    assert.deepEqual(stream.at(-1), { maxBandwidth: 0 });
    assert.deepEqual(said(), [MB, 0]);
  });

  test('a host without such hours sets no timed cap', async () => {
    const { stream, wire, disks, events, look } = stage([]);
    await look();
    assert.deepEqual([stream, wire, disks, events], [[], [], [], []]);
  });
});

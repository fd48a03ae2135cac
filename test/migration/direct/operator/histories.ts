import fc from 'fast-check';
import type { GuestSightings } from '../../../../src/migration/direct/operator/guest-sightings.ts';
import { replayDestination } from '../../../../src/migration/direct/journal.ts';
import type { ResolutionFacts } from '../../../../src/migration/direct/operator/resolution.ts';
import {
  destinationFacts,
  sourceFacts,
} from '../../../../src/migration/direct/operator/side-facts.ts';
import { initialSource } from '../../../../src/migration/direct/source/source-state.ts';
import type { DestinationEvent } from '../../../../src/migration/direct/destination/destination.ts';
import type { SilentHost } from '../../../../src/protocol/public/resolve.ts';
import type { Sighting } from '../../../../src/protocol/peer/sighting.ts';
import { planned, preparationOf } from '../samples.ts';

/**
 * What may have become of a guest that went from a to b and is held there: how far it came, where it went from b, what
 * hosts have forgotten, and who is dark now. A history says by itself whether the guest ran after it had left a.
 */
export interface History {
  /** How far b came. */
  readonly reached: 'prepared' | 'armed' | 'committed' | 'running' | 'finished';
  /** The source has sent its commit. */
  readonly committing: boolean;
  /** b lost its power while armed, or before its record of the commit was on the disk. */
  readonly cut: boolean;
  /** Of a guest that ran: whether it ended at b, or went on. */
  readonly next: 'stays' | 'ends' | 'onward' | 'home';
  /** Where it went on to, it has ended. */
  readonly endedThere: boolean;
  /** b has forgotten the migration. */
  readonly forgotten: boolean;
  /** Migrations on from b do not say by which the guest had come (an older build), */
  readonly withoutLineage: boolean;
  /** nor do hypervisors say a UUID. */
  readonly withoutUuid: boolean;
  readonly dark: readonly ('b' | 'c')[];
  /** From the migration's beginning until the guest was sent on from b, by the clock of b: it may be slow, ms. */
  readonly sentAfterMs: number;
  /** Another migration to c of a guest of that name, which carries no lineage. */
  readonly other: Other | undefined;
}

export interface Other {
  /** From the beginning of the migration that is held, ms; negative: before it. */
  readonly afterMs: number;
  readonly hasEnded: boolean;
  readonly runsAt: 'source' | 'destination' | 'unknown';
}

const DAY_MS = 86_400_000;
const afterMs = fc.oneof(
  fc.constantFrom(-1, 0, 1),
  fc.integer({ min: -30 * DAY_MS, max: 30 * DAY_MS }),
);

export const anyHistory: fc.Arbitrary<History> = fc.record({
  reached: fc.constantFrom('prepared', 'armed', 'committed', 'running', 'finished'),
  committing: fc.boolean(),
  cut: fc.boolean(),
  next: fc.constantFrom('stays', 'ends', 'onward', 'home'),
  endedThere: fc.boolean(),
  forgotten: fc.boolean(),
  withoutLineage: fc.boolean(),
  withoutUuid: fc.boolean(),
  dark: fc.subarray(['b', 'c'] as const),
  sentAfterMs: afterMs,
  other: fc.option(
    fc.record({
      afterMs,
      hasEnded: fc.boolean(),
      runsAt: fc.constantFrom('source' as const, 'destination' as const, 'unknown' as const),
    }),
    { nil: undefined },
  ),
});

/** The oracle: whether the guest has run anywhere but at a since it was handed over. Reads the history, and no view. */
export function hasRunElsewhere({ reached }: History): boolean {
  return reached === 'running' || reached === 'finished';
}

/** Whether the other migration leaves open that the guest has run at c since. */
export function isOtherInDoubt({ other }: History): boolean {
  if (other === undefined) return false;
  if (!other.hasEnded) return true;
  return other.afterMs > 0 && other.runsAt !== 'source';
}

const ID = 'm-00000001';
const NEXT = 'm-00000002';
const UUID = '11111111-2222-3333-4444-555555555555';
const BEGAN = '2026-01-01T00:00:00.000Z';
const OTHER = 'm-00000003';
const momentAfter = (ms: number): string => new Date(Date.parse(BEGAN) + ms).toISOString();

/** What each host would answer. */
export function knownOf(history: History): ResolutionFacts {
  const { dark, forgotten, withoutUuid } = history;
  const isDark = dark.includes('b');
  const unasked: SilentHost[] = dark.map((host) => ({ host, why: 'it does not answer' }));
  if (forgotten && !isDark) unasked.push({ host: 'b', why: `${ID} is not known at b` });
  const fleet: GuestSightings = {
    id: ID,
    since: BEGAN,
    uuid: withoutUuid ? undefined : UUID,
    sightings: (['a', 'b', 'c'] as const)
      .filter((host) => host === 'a' || !dark.includes(host))
      .map((host) => sightingAt(host, history)),
    unasked,
  };
  const { state } = initialSource(planned());
  const right = history.committing ? 'committing' : 'armed';
  const common = { id: ID, guest: 'web1', phase: 'held', moverAlive: false } as const;
  return {
    guest: 'web1',
    from: 'a',
    to: 'b',
    source: {
      ...common,
      host: 'a',
      side: 'source',
      ...sourceFacts({ ...state, right, stream: 'done' }, 'handed-over'),
    },
    destination:
      isDark || forgotten
        ? undefined
        : { ...common, host: 'b', side: 'destination', ...destinationAt(history) },
    fleet,
  };
}

function destinationAt(history: History): ReturnType<typeof destinationFacts> {
  const { reached, cut, next } = history;
  const plan = planned();
  const { epoch, id, guest, from } = plan;
  const admission = { id, guest, from, epoch, memoryBytes: 1, timeoutMs: 1000 };
  const handle = { driver: 'fake', name: 'web1', pid: 2, startTicks: 1, monitor: 'm' };
  const all: DestinationEvent[] = [
    { type: 'admitted', admission, host: 'b' },
    { type: 'preparing', preparation: preparationOf(plan), ports: {} },
    { type: 'prepared', handle, memoryAddress: 'b:49152' },
    { type: 'hypervisor', event: { type: 'completed' } },
    { type: 'armed', epoch, bootId: 'boot-1' },
    { type: 'committed', epoch },
    { type: 'running', epoch, resumeMs: 1 },
    { type: 'finished' },
  ];
  const count = { prepared: 4, armed: 5, committed: 6, running: 7, finished: 8 }[reached];
  // What was not on the disk yet is gone with the power; what a mover settled later was.
  const isCut = cut && reached !== 'prepared' && reached !== 'finished';
  const events = all.slice(0, isCut ? 5 : count);
  const state = replayDestination(events);
  const ran = hasRunElsewhere(history);
  return destinationFacts(state, {
    life: isCut || (ran && next !== 'stays') ? 'gone' : 'alive',
    armedBootId: count > 4 ? 'boot-1' : undefined,
    bootId: isCut ? 'boot-2' : 'boot-1',
  });
}

/** Only a guest that was settled at b goes on from there. */
function wentOn({ reached, next }: History): 'c' | 'a' | undefined {
  if (reached !== 'finished') return undefined;
  return next === 'onward' ? 'c' : next === 'home' ? 'a' : undefined;
}

function sightingAt(host: 'a' | 'b' | 'c', history: History): Sighting {
  const to = wentOn(history);
  const lineage = history.withoutLineage ? [] : [ID];
  const createdAt = momentAfter(history.sentAfterMs);
  const move = { id: NEXT, from: 'b', to: to ?? '', createdAt, lineage };
  const isHere = to === host;
  const uuid = history.withoutUuid ? {} : { uuid: UUID };
  return {
    host,
    copies: isHere && !history.endedThere ? [{ state: 'running', ...uuid }] : [],
    moves: [
      ...(to !== undefined && host === 'b' ? [{ ...move, side: 'source' as const }] : []),
      ...(isHere ? [{ ...move, side: 'destination' as const }] : []),
      ...(host === 'c' ? otherMoves(history) : []),
    ],
  };
}

function otherMoves({ other }: History): Sighting['moves'] {
  if (other === undefined) return [];
  const { hasEnded: ended, runsAt } = other;
  const createdAt = momentAfter(other.afterMs);
  const route = { id: OTHER, from: 'd', to: 'c', side: 'destination' } as const;
  return [{ ...route, createdAt, ended, runsAt, lineage: [] }];
}

import type { DestinationRight, SourceRight } from '../../../src/migration/direct/run-right.ts';
import type { HostAnswer } from '../../../src/migration/permission/host-answer.ts';
import type { Sighting } from '../../../src/protocol/peer/sighting.ts';

/**
 * The hosts around one migration: a is its source, b its destination; c, d and b itself are standbys that may recover the
 * guest.
 * What a power loss keeps (journals) and what it takes (processes, answers in memory) are apart.
 */
export const HOSTS = ['a', 'b', 'c', 'd'] as const;
export type Host = (typeof HOSTS)[number];
export type Standby = 'b' | 'c' | 'd';
export const STANDBYS = ['b', 'c', 'd'] as const satisfies Standby[];

export type Answer = HostAnswer['is'];
/** Answers that a host has gathered and not yet acted on; lost with its process. */
export type GatheredAnswers = Readonly<Partial<Record<Host, Answer>>>;

export interface World {
  readonly up: Readonly<Record<Host, boolean>>;
  readonly boot: Readonly<Record<Host, number>>;
  /** The guest runs here. */
  readonly runs: readonly Host[];
  /** Pairs of hosts that do not reach each other. */
  readonly cut: readonly string[];
  /** Power losses and cuts that may still come. */
  readonly faults: number;
  readonly source: {
    readonly doing: 'switchover' | 'commit' | 'undo' | 'held' | 'ended';
    readonly right: SourceRight;
    /** Its hypervisor lives, with the guest paused or shut down in it. */
    readonly paused: boolean;
    readonly gathered?: GatheredAnswers | undefined;
    /** An operator's word in the journal, and the boot in which it was given. */
    readonly word?: {
      readonly bootId: number;
      readonly isOld?: true;
      readonly named: readonly Host[];
    };
    /** An operator has the commit sent again, and answers for these hosts. */
    readonly ordered?: readonly Host[];
  };
  readonly destination: {
    readonly right: DestinationRight;
    readonly armedIn: number;
    readonly hasRun: boolean;
    readonly ended: boolean;
    /** The right to run came by the proof that a is off. */
    readonly byProof: boolean;
    /** Its hypervisor lives, paused. */
    readonly built: boolean;
    /** Its request.json cannot be read. */
    readonly damaged: boolean;
    /** It has sent the guest on to c. */
    readonly sentOn: boolean;
  };
  readonly recoveries: Readonly<Record<Standby, Recovery>>;
}

export interface Recovery {
  readonly stage: 'none' | 'armed' | 'proved' | 'ran' | 'ended';
  readonly armedIn: number;
  readonly gathered?: GatheredAnswers | undefined;
  /** Its proof was recorded longer ago than a proof is valid. */
  readonly isOld?: true;
}

/** Something that can happen, and what it leads to. */
export type Move = readonly [label: string, next: World];

export const MIGRATION = 'm-00000001';
const UUID = 'u-1';
export const SOUGHT = { guest: 'web1', uuid: UUID, since: '2026-11-24T10:00:00Z' } as const;
const LATER = '2026-11-24T11:00:00Z';
/** A caller chooses the id of a recovery: that of c has the id of the migration. */
export const recoveryId = (host: Standby): string =>
  host === 'c' ? MIGRATION : `m-0000000${host}`;

export function firstWorld(faults: number): World {
  const none = { stage: 'none', armedIn: 0 } as const;
  return {
    up: { a: true, b: true, c: true, d: true },
    boot: { a: 0, b: 0, c: 0, d: 0 },
    runs: ['a'],
    cut: [],
    faults,
    source: { doing: 'switchover', right: 'armed', paused: false },
    destination: {
      right: 'armed',
      armedIn: 0,
      hasRun: false,
      ended: false,
      byProof: false,
      built: true,
      damaged: false,
      sentOn: false,
    },
    recoveries: { b: none, c: none, d: none },
  };
}

export const bootName = (boot: number): string => `boot-${boot}`;

export function reaches(world: World, one: Host, other: Host): boolean {
  return world.up[one] && world.up[other] && !world.cut.includes(pairOf(one, other));
}

export function pairOf(one: Host, other: Host): string {
  return [one, other].toSorted().join('');
}

/** Whether `host` leaves its side of what is asked under an id out of its answer to `asker`. */
export type LeavesOut = (host: Host, asker: Host) => boolean;

/** The product's: only for the other host of the migration. A recovery has no other host. */
export const partnerOnly: LeavesOut = (host, asker) => host === 'b' && asker === 'a';

/** What `host` shows of the guest to `asker`, which asks under `id`. */
export function sightingAt(
  world: World,
  host: Host,
  { id, asker, leavesOut }: { id: string; asker: Host; leavesOut: LeavesOut },
): Sighting {
  const isLeftOut = leavesOut(host, asker);
  const hidesMigration = host === 'b' && id === MIGRATION && isLeftOut;
  const hidesRecovery = host !== 'a' && id === recoveryId(host) && isLeftOut;
  const isOwn =
    host !== 'a' && (world.recoveries[host].stage === 'ran' ? hidesRecovery : hidesMigration);
  const copies: Sighting['copies'] = world.runs.includes(host) && !isOwn ? [RUNNING] : [];
  const moves: Sighting['moves'] = [];
  if (host === 'b' && !hidesMigration) {
    const { destination } = world;
    if (destination.built && copies.length === 0) copies.push({ uuid: UUID, state: 'incoming' });
    moves.push(
      moveOf(MIGRATION, 'b', destination.ended && !destination.damaged, ranAt(destination)),
    );
  }
  if (host === 'c' && world.destination.sentOn) {
    moves.push({
      ...moveOf('m-00000009', 'c', true, 'destination'),
      from: 'b',
      lineage: [MIGRATION],
    });
  }
  if (host !== 'a' && !hidesRecovery) {
    const { stage } = world.recoveries[host];
    const isOver = stage === 'ended' || stage === 'ran';
    const at = stage === 'ran' ? 'destination' : 'source';
    if (stage !== 'none') moves.push(moveOf(recoveryId(host), host, isOver, at));
  }
  return { host, copies, moves };
}

const RUNNING = { uuid: UUID, state: 'running' } as const;

function ranAt({ right }: World['destination']): 'destination' | 'source' {
  return right === 'running' ? 'destination' : 'source';
}

function moveOf(
  id: string,
  to: Host,
  ended: boolean,
  runsAt: 'destination' | 'source',
): Sighting['moves'][number] {
  return { id, side: 'destination', from: 'a', to, createdAt: LATER, ended, runsAt, lineage: [] };
}

export const source = (world: World, more: Partial<World['source']>): World => ({
  ...world,
  source: { ...world.source, ...more },
});
export const destination = (world: World, more: Partial<World['destination']>): World => ({
  ...world,
  destination: { ...world.destination, ...more },
});
export const recovery = (
  world: World,
  host: Standby,
  more: Partial<World['recoveries'][Standby]>,
): World => ({
  ...world,
  recoveries: { ...world.recoveries, [host]: { ...world.recoveries[host], ...more } },
});
export const running = (world: World, host: Host): World => ({
  ...world,
  runs: [...world.runs, host],
});

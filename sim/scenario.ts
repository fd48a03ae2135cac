import type { Mode } from '../src/protocol/public/migration.ts';
import { Random } from './random.ts';

export const HOSTS = ['a', 'b', 'c'] as const;
export type HostName = (typeof HOSTS)[number];
export const ADDRESSES: Record<HostName, string> = {
  a: '10.0.0.1:7001',
  b: '10.0.0.2:7001',
  c: '10.0.0.3:7001',
};

/** When a fault strikes. `passes`: as a mover of that host is about to do its nth thing with the world, or has done it. */
export type When =
  | { readonly at: 'time'; readonly ms: number }
  | {
      readonly at: 'deed';
      readonly host: HostName;
      readonly nth: number;
      readonly edge: 'before' | 'after';
    }
  | { readonly at: 'stream'; readonly state: string; readonly afterMs: number };

/** What goes wrong. Everything but a death, a step of the clock and a cancel is over after `forMs`. */
export type Deed =
  | { readonly kind: 'kill mover'; readonly host: HostName }
  | { readonly kind: 'kill agent'; readonly host: HostName; readonly forMs: number }
  | { readonly kind: 'freeze mover'; readonly host: HostName; readonly forMs: number }
  | { readonly kind: 'kill hypervisor'; readonly host: HostName }
  | { readonly kind: 'power loss'; readonly host: HostName; readonly forMs: number }
  | { readonly kind: 'link cut'; readonly forMs: number }
  | { readonly kind: 'black hole'; readonly ways: 'both' | 'to a' | 'to b'; readonly forMs: number }
  | { readonly kind: 'bad link'; readonly forMs: number }
  | {
      readonly kind: 'disk full' | 'disk read-only' | 'disk slow' | 'disk broken';
      readonly host: HostName;
      readonly forMs: number;
    }
  | { readonly kind: 'clock step'; readonly host: HostName; readonly byMs: number }
  | { readonly kind: 'cancel' }
  /** No host hears it, and it hears none. */
  | { readonly kind: 'isolated'; readonly host: HostName; readonly forMs: number }
  /** Somebody has `host` recover the guest of `from`, with the hosts proved off that are off now. */
  | { readonly kind: 'recover'; readonly host: HostName; readonly from: HostName }
  /** Its agent starts again, and finds its requests damaged until they are repaired. */
  | { readonly kind: 'request damaged'; readonly host: HostName; readonly forMs: number }
  /** Somebody with the destination's certificate asks the source to take the guest back. */
  | { readonly kind: 'take up' };
export type DeedKind = Deed['kind'] | 'call fails' | 'call hangs';

export interface Fault {
  readonly when: When;
  readonly deed: Deed;
}

/** A call to a hypervisor that fails before or after its effect, or takes `forMs`. */
export interface CallFault {
  readonly call: string;
  readonly how: 'before' | 'after' | 'hang';
  readonly times: number;
  readonly forMs: number;
}

/** All that decides a run: what moves, and what goes wrong. `noise` seeds the delays in between. */
export interface Scenario {
  readonly noise: number;
  /** Three hosts with fencing hooks take part; absent: the two of the migration, without. */
  readonly fleet?: true;
  readonly mode: Mode;
  readonly memoryMiB: number;
  readonly dirtyMiB: number;
  readonly linkMiB: number;
  readonly timeoutMs: number;
  readonly hybridRounds: number;
  /** The destination refuses it: it lacks the machine type. */
  readonly refused: boolean;
  readonly faults: readonly Fault[];
  readonly calls: readonly CallFault[];
}

const CALLS = [
  'driver.openSource',
  'driver.openDestination',
  'source.inspect',
  'source.ports',
  'source.status',
  'source.configure',
  'source.startMemory',
  'source.sample',
  'source.startPostcopy',
  'source.continueSwitchover',
  'source.cancel',
  'source.recover',
  'source.resumeGuest',
  'source.unconfigure',
  'source.quit',
  'destination.status',
  'destination.assess',
  'destination.start',
  'destination.resumeGuest',
  'destination.announce',
  'destination.listenAgain',
  'destination.settle',
  'destination.destroy',
] as const;

const STATES = [
  'setup',
  'active',
  'pre-switchover',
  'device',
  'completed',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recovering',
] as const;

/** How many faults a run gets: most one or two, since a person must understand what comes out. */
const COUNTS = [0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4] as const;

/** The scenario of a seed. */
export function drawScenario(seed: number): Scenario {
  const random = new Random(seed);
  const mode = random.pick(['precopy', 'precopy', 'postcopy', 'hybrid'] as const);
  const linkMiB = random.pick([400, 1000, 2000]);
  const converges = mode === 'precopy' && !random.chance(0.05);
  const count = random.pick(COUNTS);
  const faults: Fault[] = [];
  const calls: CallFault[] = [];
  const close = random.chance(0.3);
  for (let drawn = 0; drawn < count; drawn += 1) {
    if (random.chance(0.2)) calls.push(drawCall(random));
    else faults.push(drawFault(random, close));
  }
  const scenario: Scenario = {
    noise: random.whole(0, 0xffff_ffff),
    mode,
    memoryMiB: random.pick([16, 128, 512]),
    dirtyMiB: converges ? random.pick([0, 10, 50]) : random.pick([100, 500, 8000]),
    linkMiB,
    timeoutMs: random.chance(0.1) ? random.whole(1000, 10_000) : 60_000,
    hybridRounds: random.whole(1, 4),
    refused: random.chance(0.01),
    faults,
    calls,
  };
  return random.chance(0.35) ? drawFleet(random, scenario) : scenario;
}

/** One migration among three hosts: power is lost, and the guest is recovered while that host is off or is back. */
export function drawFleet(random: Random, given: Scenario): Scenario {
  const isCold = random.chance(0.6);
  const mode = isCold ? 'cold' : given.mode;
  const lost = random.pick(['a', 'a', 'a', 'b', 'b', 'c'] as const);
  const standby = random.pick(HOSTS.filter((host) => host !== lost));
  const forMs = drawLong(random);
  const isAfter = random.chance(0.25);
  const atMs = isAfter ? random.whole(5000, 60_000) : 1000;
  const struck = isAfter ? ({ at: 'time', ms: atMs } as const) : drawMoment(random, isCold);
  // Mostly while that host is off; its destination gives up in the midst of it.
  const ms = atMs + random.whole(1000, forMs);
  const meanwhile = random.chance(0.8) ? ({ at: 'time', ms } as const) : drawLate(random);
  const faults: Fault[] = [
    { when: struck, deed: { kind: 'power loss', host: lost, forMs } },
    drawRecovery(random, standby, meanwhile, lost),
  ];
  if (random.chance(0.4)) {
    const host = random.pick(HOSTS);
    faults.push(drawRecovery(random, host, drawLate(random), random.pick(HOSTS)));
  }
  if (random.chance(0.35)) {
    const when = drawAt(random);
    const deed = { kind: 'power loss', host: standby, forMs: drawLong(random) } as const;
    faults.push({ when: random.chance(0.5) ? { ...when, host: standby } : drawLate(random), deed });
  }
  if (random.chance(0.3)) {
    const host = random.pick(HOSTS);
    faults.push({
      when: drawLate(random),
      deed: { kind: 'isolated', host, forMs: drawLong(random) },
    });
  }
  if (random.chance(0.15)) {
    const host = random.pick(HOSTS);
    const when = random.chance(0.5) ? drawLate(random) : drawMoment(random, isCold);
    faults.push({ when, deed: { kind: 'request damaged', host, forMs: drawLong(random) } });
  }
  if (random.chance(0.15)) faults.push({ when: drawLate(random), deed: { kind: 'take up' } });
  const beside = random.chance(0.3) ? given.faults.slice(0, 1) : [];
  return { ...given, fleet: true, mode, faults: [...beside, ...faults] };
}

/** The destination gives up 180 s after it last heard of its source. */
function drawLate(random: Random): When {
  return {
    at: 'time',
    ms: random.pick([random.whole(1000, 60_000), random.whole(60_000, 420_000)]),
  };
}

const drawLong = (random: Random): number =>
  random.chance(0.4) ? random.whole(5000, 60_000) : random.whole(60_000, 420_000);

function drawRecovery(random: Random, host: HostName, when: When, lost: HostName): Fault {
  const from = lost === host || random.chance(0.1) ? random.pick(HOSTS) : lost;
  return { when, deed: { kind: 'recover', host, from } };
}

function drawAt(random: Random): Extract<When, { at: 'deed' }> {
  const edge = random.pick(['before', 'after'] as const);
  return { at: 'deed', host: 'c', nth: random.whole(1, 60), edge };
}

/** Around the moment at which the right to run passes. */
function drawMoment(random: Random, isCold: boolean): When {
  if (!isCold) return random.chance(0.6) ? drawClose(random) : drawWhen(random);
  if (random.chance(0.4)) return drawWhen(random);
  const afterMs = random.pick([0, 0, 0.3, 0.5, 0.8, 1, 2, 5, 50, 100, 150, 300]);
  return { at: 'stream', state: 'stopped', afterMs };
}

/** Around the moment at which the right to run passes: where it matters most, and lasts shortest. */
function drawClose(random: Random): When {
  const state = random.pick(['device', 'completed', 'completed', 'postcopy-active'] as const);
  return { at: 'stream', state, afterMs: random.pick([0, 0.3, 0.6, 1, 1.5, 2, 3, 5, 10]) };
}

function drawWhen(random: Random): When {
  const kind = random.next();
  if (kind < 0.15) return { at: 'time', ms: random.whole(0, 5000) };
  if (kind < 0.4) {
    return { at: 'stream', state: random.pick(STATES), afterMs: random.pick([0, 0, 1, 5, 20, 60]) };
  }
  const host = random.pick(['a', 'b'] as const);
  const most = host === 'a' ? 110 : 60;
  return {
    at: 'deed',
    host,
    nth: random.whole(1, most),
    edge: random.pick(['before', 'after'] as const),
  };
}

const span = (random: Random): number =>
  random.pick([random.whole(10, 500), random.whole(500, 5000), random.whole(5000, 40_000)]);

function drawFault(random: Random, close: boolean): Fault {
  const when = close ? drawClose(random) : drawWhen(random);
  const host = random.pick(['a', 'b'] as const);
  const share = random.next();
  if (share < 0.24) return { when, deed: { kind: 'kill mover', host } };
  if (share < 0.29) return { when, deed: { kind: 'kill agent', host, forMs: span(random) } };
  if (share < 0.37) return { when, deed: { kind: 'freeze mover', host, forMs: span(random) } };
  if (share < 0.42) return { when, deed: { kind: 'kill hypervisor', host } };
  if (share < 0.5) {
    return { when, deed: { kind: 'power loss', host, forMs: random.whole(5000, 60_000) } };
  }
  if (share < 0.58) return { when, deed: { kind: 'link cut', forMs: span(random) } };
  if (share < 0.7) {
    const ways = random.pick(['both', 'both', 'to a', 'to b'] as const);
    return { when, deed: { kind: 'black hole', ways, forMs: span(random) } };
  }
  if (share < 0.76) return { when, deed: { kind: 'bad link', forMs: span(random) } };
  if (share < 0.87) {
    const kinds = ['disk full', 'disk read-only', 'disk slow', 'disk broken'] as const;
    return { when, deed: { kind: random.pick(kinds), host, forMs: span(random) } };
  }
  if (share < 0.92) {
    return { when, deed: { kind: 'clock step', host, byMs: random.pick([-1, 1]) * 3_600_000 } };
  }
  return { when, deed: { kind: 'cancel' } };
}

function drawCall(random: Random): CallFault {
  return {
    call: random.pick(CALLS),
    how: random.pick(['before', 'after', 'hang'] as const),
    times: random.pick([1, 1, 1, 2, 4]),
    forMs: random.pick([500, 8000, 40_000]),
  };
}

import { fakeWorld, type FakeHosts } from './fake/driver.ts';
import { migrationRequest, type EndPhase } from '../src/protocol/public/migration.ts';
import type { SourceMoverRequest } from '../src/protocol/mover/request.ts';
import { Faults, type Struck } from './faults.ts';
import { BEGAN_MS, SimHost } from './host.ts';
import { driverFor } from './hypervisors.ts';
import { Network } from './network.ts';
import { Observer, type Violation } from './observer.ts';
import { Operator } from './operator.ts';
import { Random } from './random.ts';
import { Recoveries } from './recoveries.ts';
import { Scheduler } from './scheduler.ts';
import { ADDRESSES, HOSTS, type HostName, type Scenario } from './scenario.ts';
import { standIn } from './stand-ins.ts';
import { judge } from './verdict.ts';

const MIB = 1024 * 1024;
const ID = 'm-00000001';
const UUID = '11111111-2222-3333-4444-555555555555';
/** From when the faults are over until everything must have ended, beyond the migration's own time, ms. */
const SETTLED_MS = 600_000;
/** Held: nothing follows, but what falls back by itself must have done so, ms. */
const HELD_MS = 240_000;

export interface Result {
  /** How the source's journal ends; `none` where the migration never began. */
  readonly outcome: EndPhase | 'none' | 'unended';
  readonly violation: Violation | undefined;
  readonly struck: Struck;
  readonly journals: Record<HostName, string>;
  readonly story: readonly string[];
  readonly virtualMs: number;
  readonly jobs: number;
  readonly longestStillMs: number;
  readonly leftovers: readonly string[];
  /** Hosts that recovered the guest. */
  readonly recoveredAt: readonly HostName[];
  /** An operator resolved it. */
  readonly wasResolved: boolean;
}

/** Runs one migration under its scenario's faults. The same scenario gives the same result, byte for byte. */
export async function runScenario(scenario: Scenario, story = false): Promise<Result> {
  standIn();
  const stage = await Stage.open(scenario, story);
  return stage.run();
}

/** Everything of one run. */
class Stage {
  readonly scenario: Scenario;
  readonly scheduler = new Scheduler();
  readonly random: Random;
  readonly network: Network;
  readonly #lines: string[] = [];
  readonly #reporting: boolean;
  readonly world: FakeHosts;
  readonly hosts: Record<HostName, SimHost>;
  readonly observer: Observer;
  readonly faults: Faults;
  readonly recoveries: Recoveries;
  readonly #names: readonly HostName[];
  readonly #operator: Operator;
  #settled = false;

  static async open(scenario: Scenario, reporting: boolean): Promise<Stage> {
    const scheduler = new Scheduler();
    const random = new Random(scenario.noise);
    const network = new Network(scheduler, random);
    const world = worldOf(scenario, scheduler, network);
    return new Stage(scenario, reporting, { scheduler, random, network, world });
  }

  private constructor(
    scenario: Scenario,
    reporting: boolean,
    made: { scheduler: Scheduler; random: Random; network: Network; world: FakeHosts },
  ) {
    const { scheduler, random, network, world } = made;
    this.scenario = scenario;
    this.#reporting = reporting;
    this.scheduler = scheduler;
    this.random = random;
    this.network = network;
    this.world = world;
    const report = (text: string): void => this.#report(text);
    const hungUntil = { a: 0, b: 0, c: 0 };
    const isFleet = scenario.fleet === true;
    const names = (this.#names = HOSTS.filter((name) => isFleet || name !== 'c'));
    network.report = report;
    const parts = {
      scheduler,
      random,
      network,
      report,
      passing: (...what: Parameters<Faults['passing']>) => this.faults.passing(...what),
      driverFor: (process: Parameters<typeof driverFor>[0]) =>
        driverFor(process, world.driver(process.host), {
          scheduler,
          random,
          report,
          faultOf: (call) => this.faults.callFault(call),
          stalledUntil: () => network.stalledUntil,
          hungUntil,
        }),
    };
    const known = names.map(
      (name) => [name, { address: ADDRESSES[name], addresses: [] as string[] }] as const,
    );
    const host = (name: HostName): SimHost =>
      new SimHost(name, {
        ...parts,
        driver: world.driver(name),
        peers: (self) => Object.fromEntries(known.filter(([each]) => each !== self)),
        turnOff: isFleet ? (other) => this.faults.turnOff(other) : undefined,
      });
    this.hosts = { a: host('a'), b: host('b'), c: host('c') };
    this.recoveries = new Recoveries({ scheduler, world, hosts: this.hosts });
    this.faults = new Faults(scenario, {
      scheduler,
      network,
      world,
      hosts: this.hosts,
      observer: () => this.observer,
      cancel: () => this.#cancel(),
      recover: (name, from) => this.recoveries.order(name, from),
      takeUp: () => this.#takeUp(),
      report,
    });
    this.observer = new Observer(world, scheduler, report, {
      onStream: (state) => this.faults.streamIs(state),
      isCold: scenario.mode === 'cold',
      isProved: () => this.#state()?.closedByProof === true,
    });
    const { observer } = this;
    this.#operator = new Operator({ scheduler, source: this.hosts.a, observer, report });
  }

  #report(text: string): void {
    if (this.#reporting) this.#lines.push(`${(this.scheduler.now / 1000).toFixed(3)} s  ${text}`);
  }

  #cancel(): void {
    const mover = this.hosts.a.mover(ID);
    if (mover?.coordinator === undefined) return;
    const { coordinator, process } = mover;
    this.scheduler.after(0, process, () => {
      coordinator.cancel().then(
        ({ what }) => this.#report(`the user is told: ${what}`),
        () => {},
      );
    });
  }

  #takeUp(): boolean {
    const asked = this.hosts.b.asAgent(({ peers }) =>
      peers.takeUp('a', ID, { runAt: 'source', by: 'somebody' }, new AbortController().signal).then(
        ({ what }) => this.#report(`a takes it up: ${what}`),
        (thrown: Error) => this.#report(`a does not take it up: ${thrown.message}`),
      ),
    );
    return asked !== undefined;
  }

  #request(): SourceMoverRequest {
    const { mode, timeoutMs, hybridRounds, memoryMiB } = this.scenario;
    const guest = this.world.instances[0];
    if (guest === undefined) throw new Error('no guest was booted');
    return {
      version: 1,
      id: ID,
      fromHost: 'a',
      toHost: 'b',
      createdAt: new Date(BEGAN_MS + this.scheduler.now).toISOString(),
      side: 'source',
      peer: { name: 'b', address: ADDRESSES.b },
      request: migrationRequest.parse({
        guest: 'web1',
        to: 'b',
        mode,
        maxDowntimeMs: 100,
        timeoutMs,
        hybridRounds,
      }),
      handle: guest.handle,
      uuid: UUID,
      memoryBytes: memoryMiB * MIB,
    };
  }

  async run(): Promise<Result> {
    const { scheduler, hosts, observer } = this;
    for (const host of this.#names) hosts[host].startAgent();
    if (this.scenario.fleet === true) this.recoveries.start();
    hosts.a.begin(this.#request());
    this.#watch();
    const over = (): boolean => this.#settled || observer.violation !== undefined;
    await scheduler.run(over, 3_600_000, () => observer.look());
    const violation = observer.violation ?? this.#verdict();
    for (const host of this.#names) hosts[host].stop();
    return {
      outcome: this.#outcome(),
      violation,
      struck: this.faults.struck,
      journals: {
        a: hosts.a.store.journal(ID),
        b: hosts.b.store.journal(ID),
        c: hosts.c.store.journal(ID),
      },
      story: this.#lines,
      virtualMs: scheduler.now,
      jobs: scheduler.jobs,
      longestStillMs: observer.longestStillMs,
      recoveredAt: this.#recoveredAt(),
      wasResolved: this.#operator.hasAnswered,
      leftovers: this.#state()?.leftovers.map(({ message }) => message) ?? [],
    };
  }

  #state() {
    const { store } = this.hosts.a;
    return store.get(ID) === undefined ? undefined : store.read(ID).source;
  }

  #outcome(): Result['outcome'] {
    const state = this.#state();
    if (state === undefined) return 'none';
    return state.doing.kind === 'end' ? state.doing.outcome : 'unended';
  }

  /** Looks now and then whether all has ended. */
  #watch(): void {
    const { scheduler, faults } = this;
    const isFleet = this.scenario.fleet === true;
    let heldSince: number | undefined;
    const look = (): void => {
      const { now } = scheduler;
      const past = now - faults.struck.overAtMs;
      const outcome = this.#outcome();
      const stuck = outcome === 'held' || outcome === 'lost';
      if (stuck && past > 0) heldSince ??= now;
      // A fault that strikes later has its time, too.
      else heldSince = undefined;
      const waited = heldSince !== undefined && now - heldSince > HELD_MS;
      const late = past > SETTLED_MS + this.scenario.timeoutMs;
      const isAsked = isFleet && outcome === 'held' && waited;
      if (isAsked) this.#operator.look(ID);
      const isOver = this.#ended(outcome) && !(isFleet && outcome === 'held');
      this.#settled = past > 0 && (isOver || (stuck && waited && !isAsked) || late);
      if (!this.#settled) scheduler.after(500, undefined, look);
    };
    scheduler.after(500, undefined, look);
  }

  /** Nothing works any more on either side, and nothing will. */
  #ended(outcome: Result['outcome']): boolean {
    const { a, b } = this.hosts;
    const all = this.#names.map((name) => this.hosts[name]);
    if (outcome === 'unended' || all.some(({ up, busy }) => !up || busy)) return false;
    if (all.some(({ store }) => store.recoveries().some(({ id }) => !store.hasEnded(id))))
      return false;
    if (outcome === 'none' && a.store.get(ID) !== undefined) return false;
    return b.store.get(ID) === undefined || b.store.isEnded(ID);
  }

  #recoveredAt(): HostName[] {
    return this.#names.filter((name) => {
      const { store } = this.hosts[name];
      return store.recoveries().some(({ id }) => store.read(id).destination?.hasRun === true);
    });
  }

  #verdict(): Violation | undefined {
    const outcome = this.#outcome();
    const rule = judge({
      outcome,
      ended: this.#ended(outcome),
      state: this.#state(),
      destination: this.hosts.b.store.get(ID) && this.hosts.b.store.read(ID).destination,
      observer: this.observer,
      struck: this.faults.struck,
      instances: this.world.instances,
      wasResolved: this.#operator.hasAnswered,
      recoveredAt: this.scenario.fleet === true ? this.#recoveredAt() : undefined,
    });
    if (rule === undefined) return undefined;
    this.#report(`BROKEN: ${rule}`);
    return { rule, atMs: this.scheduler.now };
  }
}

function worldOf(scenario: Scenario, scheduler: Scheduler, network: Network): FakeHosts {
  const { linkMiB, memoryMiB, dirtyMiB, refused } = scenario;
  const world = fakeWorld({
    clock: {
      wallMs: () => BEGAN_MS + scheduler.now,
      monotonicMs: () => scheduler.now,
      sleep: (ms) => new Promise((resolve) => scheduler.after(ms, undefined, resolve)),
    },
    // While nothing comes through, a stream is stalled and does not break.
    get linkRate() {
      return network.stalledUntil > scheduler.now ? 0 : linkMiB * MIB;
    },
    hosts: { a: {}, c: {}, b: { machines: [refused ? 'fake-2' : 'fake-1'] } },
    tickMs: 10,
  });
  world.boot({
    name: 'web1',
    host: 'a',
    uuid: UUID,
    memoryBytes: memoryMiB * MIB,
    dirtyRate: dirtyMiB * MIB,
  });
  return world;
}

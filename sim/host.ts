import {
  isManagedRequest,
  type DestinationMoverRequest,
  type MoverState,
} from '../src/protocol/mover/request.ts';
import type { MoverProcesses } from '../src/agent/processes/mover-process.ts';
import type { Migration } from '../src/agent/migrations/store.ts';
import { systemClock } from '../src/clock.ts';
import { parseAgentConfig, type AgentConfig } from '../src/config.ts';
import type { Fence } from '../src/host/fencing.ts';
import type { BootTime } from '../src/migration/boot-time.ts';
import type { DirectDriver } from '../src/port/direct.ts';
import { defined } from '../src/protocol/defined.ts';
import { silentLog } from '../src/log.ts';
import type { DestinationMover } from '../src/mover/direct/destination/mover.ts';
import { openDestination } from '../src/mover/direct/destination/main.ts';
import type { Coordinator } from '../src/mover/direct/source/coordinator.ts';
import { openSource } from '../src/mover/direct/source/main.ts';
import type { Surroundings } from '../src/mover/shared/surroundings.ts';
import type { Admission } from '../src/protocol/peer/migration.ts';
import { openAgent, resolveWith, type SimAgent, type SimPeers } from './agent.ts';
import { SimDisk } from './disk.ts';
import { SILENCE_MS, simFence } from './fence.ts';
import { hostFactsOf } from './host-facts.ts';
import type { Network } from './network.ts';
import { SimProcess, type Passing } from './process.ts';
import type { Random } from './random.ts';
import { ADDRESSES, type HostName } from './scenario.ts';
import type { Scheduler } from './scheduler.ts';
import { SimStore } from './store.ts';

/** Wall clock of all hosts at the beginning: 2026-01-01, ms. */
export const BEGAN_MS = Date.UTC(2026, 0, 1);
/** How long followers of a mover's live view get, as in mover/main.ts, ms. */
const LINGER_MS = 2000;

type Recovery = NonNullable<DestinationMoverRequest['recovery']>;

export interface HostDependencies {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly network: Network;
  readonly driverFor: (process: SimProcess) => DirectDriver;
  /** What its agent looks through. */
  readonly driver: DirectDriver;
  /** The other hosts that a host knows. */
  readonly peers: (name: HostName) => ReturnType<SimPeers>;
  /** Absent: no host has a fencing hook. */
  readonly turnOff?: ((host: HostName) => void) | undefined;
  readonly passing: Passing;
  readonly report: (text: string) => void;
}

interface Running {
  readonly process: SimProcess;
  readonly state: MoverState;
  readonly coordinator?: Coordinator;
  readonly destination?: DestinationMover;
}

/** Where a mover listens, and what can be asked of it besides. */
type Ready = Pick<Running, 'coordinator' | 'destination'> & { readonly address?: string };

/** What a host's standby knows of when it saw the guest last. */
export interface StandbyRecord {
  readonly keptAt: string;
  readonly at: BootTime;
}

/** One host: its disk and clock, its agent (the real supervision and admission) and its movers. */
export class SimHost {
  readonly name: HostName;
  readonly disk: SimDisk;
  readonly store: SimStore;
  readonly #deps: HostDependencies;
  readonly #config: AgentConfig;
  readonly #movers = new Map<string, Running>();
  /** Movers that do not serve yet. */
  readonly #starting = new Set<SimProcess>();
  /** One mover at a time: `holdMigration` in host/journal/migration-lock.ts. */
  readonly #locks = new Map<string, { readonly dead: boolean }>();
  /** By the host of a guest: what this host keeps of it. */
  readonly kept = new Map<HostName, StandbyRecord>();
  #agent: SimProcess | undefined;
  #services: SimAgent | undefined;
  #boots = 1;
  #pids = 100;
  up = true;
  /** How far its wall clock is off, ms. */
  clockStepMs = 0;

  constructor(name: HostName, deps: HostDependencies) {
    this.name = name;
    this.#deps = deps;
    this.disk = new SimDisk(deps.scheduler, deps.random);
    this.store = new SimStore(this.disk, name);
    // Its hosts filter nothing, and this machine's own tables are not theirs.
    const network = { connections: 'leave', segmentCheck: false, probe: 'off' };
    const fencing = { command: ['/board'], silenceMs: SILENCE_MS, timeoutMs: 5000 };
    const config = {
      name,
      address: ADDRESSES[name],
      stateDir: `/sim/${name}`,
      network,
      ...(deps.turnOff === undefined ? {} : { fencing }),
    };
    this.#config = parseAgentConfig('agent.json', JSON.stringify(config));
  }

  #spawn(name: string): SimProcess {
    const { scheduler, passing } = this.#deps;
    const who = { name, host: this.name, pid: this.#pids++ };
    const wallMs = (): number => BEGAN_MS + scheduler.now + this.clockStepMs;
    return new SimProcess(who, scheduler, wallMs, passing);
  }

  /** Its agent starts; what it finds on the disk gets its movers. */
  startAgent(): void {
    if (!this.up || this.#agent?.dead === false) return;
    const agent = (this.#agent = this.#spawn(`the agent of ${this.name}`));
    agent.run(() => {
      const movers = this.#processes(agent);
      const { name, store } = this;
      const { network, driver, peers } = this.#deps;
      this.#services = openAgent({
        name,
        process: agent,
        config: this.#config,
        network,
        store,
        driver,
        movers,
        peers: () => peers(name),
        fence: this.#fenceFor(agent),
        around: resolveWith(agent, {
          bootTime: this.#bootTimes(),
          openFile: this.disk.opener(agent),
          locks: this.#locks,
          moverOf: (pid) => [...this.#movers.values()].find(({ process }) => process.pid === pid),
        }),
      });
    });
  }

  #fenceFor(process: SimProcess): Fence | undefined {
    const { network, peers, turnOff } = this.#deps;
    if (turnOff === undefined) return undefined;
    return simFence({
      reach: network.reacher(process),
      isLinked: () => !network.isIsolated(this.name),
      peers: () => peers(this.name),
      turnOff,
    });
  }

  /** The clock of this boot. */
  #bootTimes(): () => BootTime {
    const bootId = this.bootId;
    return () => ({ bootId, uptimeMs: systemClock.monotonicMs() });
  }

  /** Now, by the clock that counts since this host was started. */
  bootTime(): BootTime {
    return { bootId: this.bootId, uptimeMs: this.#deps.scheduler.now };
  }

  /** The guest's host has confirmed its description. */
  keep(from: HostName): void {
    const wallMs = BEGAN_MS + this.#deps.scheduler.now + this.clockStepMs;
    this.kept.set(from, { keptAt: new Date(wallMs).toISOString(), at: this.bootTime() });
  }

  get bootId(): string {
    return `boot-${this.name}-${this.#boots}`;
  }

  /** The agent does that, if one runs. */
  asAgent<T>(work: (services: SimAgent) => T): T | undefined {
    const agent = this.#agent;
    const services = this.#services;
    if (agent === undefined || agent.dead || services === undefined) return undefined;
    return agent.run(() => work(services));
  }

  /** As `Outgoing` does once it has found nothing against it. */
  begin(request: Parameters<SimStore['add']>[0]): void {
    this.asAgent(({ supervisor }) => {
      supervisor.ensure(this.store.add(request)).catch(() => {
        if (!this.store.begun(request.id)) this.store.drop(request.id);
      });
    });
  }

  /** As the handlers of a recovery do, once its description has been found fresh, or an operator insists. */
  recover(admission: Admission, recovery: Recovery): void {
    const { id } = admission;
    const refused = (thrown: Error): void => {
      this.#deps.report(`${this.name} does not recover it: ${thrown.message}`);
      if (this.store.get(id) !== undefined && !this.store.begun(id)) this.store.drop(id);
    };
    this.asAgent(({ incoming, supervisor }) => {
      incoming
        .recover(admission, recovery)
        .then((migration) => supervisor.ensure(migration))
        .catch(refused);
    });
  }

  #processes(agent: SimProcess): MoverProcesses {
    return {
      find: (migration) => this.mover(migration.id)?.state,
      start: (migration, onExit) => this.#startMover(agent, migration, onExit),
      isStopped: ({ pid }) => {
        const process = this.#processesNow.find((each) => each.pid === pid);
        return process !== undefined && process.frozenUntil > this.#deps.scheduler.now;
      },
      kill: ({ pid }) => this.#processesNow.find((each) => each.pid === pid)?.die(),
      capLog: () => Promise.resolve(),
    };
  }

  /** The mover that works on it now. */
  mover(id: string): Running | undefined {
    const found = this.#movers.get(id);
    return found?.process.dead === false ? found : undefined;
  }

  #startMover(agent: SimProcess, migration: Migration, onExit: () => void): Promise<MoverState> {
    const { scheduler, random, report } = this.#deps;
    const process = this.#spawn(`the mover of ${this.name}`);
    this.#starting.add(process);
    const { promise, resolve, reject } = Promise.withResolvers<MoverState>();
    process.atDeath(() => {
      this.#starting.delete(process);
      scheduler.after(random.between(0.1, 2), agent, () => {
        reject(new Error('it ended'));
        onExit();
      });
    });
    scheduler.after(random.between(80, 300), process, () => {
      if (this.#locks.get(migration.id)?.dead === false) {
        this.#exit(process, 'ends: another mover already works on it');
        return;
      }
      this.#locks.set(migration.id, process);
      report(`a mover starts on ${this.name}`);
      const ready = ({ address, ...more }: Ready): void => {
        if (process.dead) return;
        this.#starting.delete(process);
        const state = {
          pid: process.pid,
          startTicks: process.pid,
          socket: 'mover.sock',
          ...(address === undefined ? {} : { address }),
        };
        this.#movers.set(migration.id, { process, state, ...more });
        scheduler.after(0.1, agent, () => resolve(state));
      };
      this.#live(process, migration, ready).then(
        () => this.#exit(process, 'has ended its work'),
        (thrown: Error) => this.#exit(process, `ends: ${thrown.message}`),
      );
    });
    return promise;
  }

  #exit(process: SimProcess, how: string): void {
    if (process.dead) return;
    this.#deps.report(`${process.name} ${how}`);
    process.die();
  }

  /** What mover/main.ts does, but for the socket to the agent. */
  async #live(
    process: SimProcess,
    { dir, request }: Migration,
    ready: (is: Ready) => void,
  ): Promise<void> {
    const driver = this.#deps.driverFor(process);
    const around = this.#surroundings(process);
    if (isManagedRequest(request)) throw new Error('no manager has a part in the simulation');
    if (request.side === 'source') {
      const { coordinator, run } = openSource(dir, this.#config, request, driver, around);
      ready({ coordinator });
      await run();
      return;
    }
    await this.#liveAtDestination(dir, request, driver, around, ready);
  }

  async #liveAtDestination(
    dir: string,
    request: DestinationMoverRequest,
    driver: DirectDriver,
    around: Surroundings,
    ready: (is: Ready) => void,
  ): Promise<void> {
    const opened = await openDestination(dir, this.#config, request, driver, around);
    const { mover: destination, listening } = opened;
    ready({ destination, ...defined({ address: listening?.address }) });
    await opened.ended;
    await opened.listening?.close(LINGER_MS);
    await opened.mover.close();
  }

  #surroundings(process: SimProcess): Surroundings {
    const { network, peers } = this.#deps;
    return {
      clock: systemClock,
      log: silentLog,
      pid: process.pid,
      bootTime: this.#bootTimes(),
      fence: this.#fenceFor(process),
      peers: () => peers(this.name),
      openFile: this.disk.opener(process),
      hostFacts: hostFactsOf(this.name),
      removeTree: async () => undefined,
      connect: network.connector(process),
      listen: network.listener(process, ADDRESSES[this.name].split(':')[0] ?? ''),
      reach: network.reacher(process),
    };
  }

  get #processesNow(): SimProcess[] {
    const all = [...this.#starting, ...[...this.#movers.values()].map(({ process }) => process)];
    return all.filter(({ dead }) => !dead);
  }

  /** Whether a mover lives, or is about to. */
  get busy(): boolean {
    return this.#processesNow.length > 0;
  }

  killMovers(): boolean {
    const killed = this.#processesNow;
    for (const process of killed) process.die();
    return killed.length > 0;
  }

  freezeMovers(forMs: number): void {
    const until = this.#deps.scheduler.now + forMs;
    for (const process of this.#processesNow) {
      process.frozenUntil = Math.max(process.frozenUntil, until);
    }
  }

  killAgent(): void {
    this.#agent?.die();
  }

  /** Everything that was not on the disk is gone. Its hypervisors are the caller's to end. */
  losePower(): void {
    this.up = false;
    this.#deps.network.hostUp[this.name] = false;
    this.killAgent();
    this.killMovers();
    this.disk.losePower();
  }

  boot(): void {
    if (this.up) return;
    this.up = true;
    this.#boots += 1;
    this.#deps.network.hostUp[this.name] = true;
    this.startAgent();
  }

  stop(): void {
    this.killAgent();
    this.killMovers();
  }
}

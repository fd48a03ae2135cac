import {
  isManagedRequest,
  type DestinationMoverRequest,
  type MoverState,
} from '../src/protocol/mover/request.ts';
import { Incoming } from '../src/agent/migrations/incoming.ts';
import type { MoverProcesses } from '../src/agent/processes/mover-process.ts';
import { Supervisor } from '../src/agent/processes/supervision.ts';
import type { Migration } from '../src/agent/migrations/store.ts';
import { systemClock } from '../src/clock.ts';
import { parseAgentConfig, type AgentConfig } from '../src/config.ts';
import type { DirectDriver } from '../src/port/direct.ts';
import { silentLog } from '../src/log.ts';
import { openDestination } from '../src/mover/direct/destination/main.ts';
import type { Coordinator } from '../src/mover/direct/source/coordinator.ts';
import { openSource } from '../src/mover/direct/source/main.ts';
import type { Surroundings } from '../src/mover/engine/surroundings.ts';
import { agentContract } from '../src/protocol/contract.ts';
import { SimDisk } from './disk.ts';
import { hostFactsOf } from './host-facts.ts';
import type { Network } from './network.ts';
import { SimProcess, type Passing } from './process.ts';
import type { Random } from './random.ts';
import type { HostName } from './scenario.ts';
import type { Scheduler } from './scheduler.ts';
import { sourceSide } from './side.ts';
import { SimStore } from './store.ts';

export const ADDRESSES: Record<HostName, string> = { a: '10.0.0.1:7001', b: '10.0.0.2:7001' };
/** Wall clock of both hosts at the beginning: 2026-01-01, ms. */
export const BEGAN_MS = Date.UTC(2026, 0, 1);
/** How long followers of a mover's live view get, as in mover/main.ts, ms. */
const LINGER_MS = 2000;

export interface HostDependencies {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly network: Network;
  readonly driverFor: (process: SimProcess) => DirectDriver;
  readonly passing: Passing;
  readonly report: (text: string) => void;
}

interface Running {
  readonly process: SimProcess;
  readonly state: MoverState;
  readonly coordinator?: Coordinator;
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
  readonly #locks = new Map<string, SimProcess>();
  #agent: SimProcess | undefined;
  #supervisor: Supervisor | undefined;
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
    const config = { name, address: ADDRESSES[name], stateDir: `/sim/${name}`, network };
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
      const store = this.store.asStore;
      const movers = this.#processes(agent);
      const supervisor = new Supervisor(store, movers, systemClock, silentLog);
      this.#supervisor = supervisor;
      const incoming = new Incoming({
        config: this.#config,
        clock: systemClock,
        hostFacts: hostFactsOf(this.name),
        store,
        guests: { list: async () => [], has: async () => false } as never,
        inventory: {
          memory: async () => ({ totalBytes: 2 ** 40, availableBytes: 2 ** 40 }),
          freePorts: async () => 256,
        } as never,
        peers: {
          address: () => ADDRESSES[this.name === 'a' ? 'b' : 'a'],
          furtherAddresses: () => [],
          names: () => ['the other one'],
        } as never,
        supervisor,
        movers,
      });
      this.#deps.network.listen(agent, ADDRESSES[this.name], agentContract, {
        admit: ({ body, caller }) => incoming.admit(body, caller),
        incoming: ({ params, caller }) => incoming.where(params.id, caller),
        side: ({ params: { id } }) => sourceSide(this.store, id, this.mover(id) !== undefined),
      });
      supervisor.start();
    });
  }

  /** As `Outgoing` does once it has found nothing against it. */
  begin(request: Parameters<SimStore['add']>[0]): void {
    const agent = this.#agent;
    const supervisor = this.#supervisor;
    if (agent === undefined || supervisor === undefined) throw new Error('no agent runs');
    agent.run(() => {
      supervisor.ensure(this.store.add(request)).catch(() => {
        if (!this.store.begun(request.id)) this.store.drop(request.id);
      });
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
      const ready = (address?: string, coordinator?: Coordinator): void => {
        if (process.dead) return;
        this.#starting.delete(process);
        const state = {
          pid: process.pid,
          startTicks: process.pid,
          socket: 'mover.sock',
          ...(address === undefined ? {} : { address }),
        };
        this.#movers.set(migration.id, {
          process,
          state,
          ...(coordinator === undefined ? {} : { coordinator }),
        });
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
    ready: (address?: string, coordinator?: Coordinator) => void,
  ): Promise<void> {
    const driver = this.#deps.driverFor(process);
    const around = this.#surroundings(process);
    if (isManagedRequest(request)) throw new Error('no manager has a part in the simulation');
    if (request.side === 'source') {
      const { coordinator, run } = openSource(dir, this.#config, request, driver, around);
      ready(undefined, coordinator);
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
    ready: (address?: string) => void,
  ): Promise<void> {
    const opened = await openDestination(dir, this.#config, request, driver, around);
    ready(opened.listening?.address);
    await opened.ended;
    await opened.listening?.close(LINGER_MS);
    await opened.mover.close();
  }

  #surroundings(process: SimProcess): Surroundings {
    const { network } = this.#deps;
    const boots = this.#boots;
    return {
      clock: systemClock,
      log: silentLog,
      pid: process.pid,
      bootTime: () => ({
        bootId: `boot-${this.name}-${boots}`,
        uptimeMs: systemClock.monotonicMs(),
      }),
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

import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import { runSiteProgram, type SiteAnswer, type SiteProgram } from '../../hooks/site-program.ts';
import type { Log } from '../../log.ts';
import { Poller } from '../../poller.ts';
import { defined } from '../../protocol/defined.ts';
import type { ControllerConfig } from '../config.ts';
import type { FleetView, HostCalls } from '../engine/ports.ts';
import type { HeldShards } from '../inventory/leases.ts';
import { shardOf } from '../inventory/shards.ts';
import { scopeOf } from '../policy/turn.ts';
import { WHOLE_FLEET, type Policy } from '../../protocol/controller/policy.ts';
import type { Store } from '../store/store.ts';
import type { Policies } from '../store/policies.ts';
import { closeForSleep, setPower } from '../store/power.ts';
import { powerOf } from '../store/power-rows.ts';
import type { HostPower } from './shown.ts';
import type { Requests } from '../store/requests.ts';
import { guestsAt, type PowerState, type World } from '../requests/facts.ts';
import { stepsOf, type PowerHost, type PowerStep } from './steps.ts';

export interface PowerWatchDependencies {
  readonly store: Store;
  readonly policies: Pick<Policies, 'list'>;
  readonly requests: Pick<Requests, 'world'>;
  readonly fleet: FleetView;
  readonly clock: Clock;
  readonly log: Log;
  readonly held: () => HeldShards;
  /** Absent: sleeping hosts are left alone, and none is put to sleep. */
  readonly settings: ControllerConfig['power'];
  readonly hosts: Pick<HostCalls, 'occupancy' | 'open'>;
  readonly runProgram?: (program: SiteProgram) => Promise<SiteAnswer>;
}

type Settings = NonNullable<ControllerConfig['power']>;

const LOOK_MS = 10_000;
/** Pause after a host could not be put to sleep, or did not wake. */
const NOT_AGAIN_MS = 3_600_000;
const CALL_AGAIN_MS = 120_000;
/** Placeholder for a request: the host is closed only for the program. */
const FALLING_ASLEEP = 'r-fallingasleep';

/** State is in the store; after a takeover the program is called again. */
export class PowerWatch {
  readonly #deps: PowerWatchDependencies;
  readonly #looks: Poller;
  /** For each host: since when it is empty, until when it is left alone, when it was woken. Monotonic ms. */
  readonly #empty = new Map<string, number>();
  readonly #leftUntil = new Map<string, number>();
  readonly #called = new Map<string, number>();
  readonly #running = new Map<string, Promise<void>>();

  constructor(deps: PowerWatchDependencies) {
    this.#deps = deps;
    this.#looks = new Poller(deps);
  }

  start(): void {
    const { settings } = this.#deps;
    if (settings === undefined) return;
    this.#looks.start(LOOK_MS, () => this.look(settings), 'which hosts may sleep was not seen to');
  }

  async close(): Promise<void> {
    await this.#looks.close();
    await this.settled();
  }

  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  async look(settings: Settings): Promise<void> {
    const { store, policies, requests, fleet, held } = this.#deps;
    const world = { ...(await requests.world()), ...(await fleet.look('now')) };
    const power = await powerOf(store.db);
    const scopes = sleepers(await policies.list());
    const hosts = [...world.hosts.keys()].map((name) =>
      this.#hostOf(name, { world, power: power.get(name), settings, maySleep: scopes(name) }),
    );
    const own = held();
    for (const [host, step] of stepsOf(hosts, world.nowMs, settings)) {
      if (!own.has(shardOf(host)) || this.#running.has(host)) continue;
      await this.#take(host, step, settings, power.get(host));
    }
  }

  #hostOf(
    name: string,
    known: {
      readonly world: World;
      readonly power: HostPower | undefined;
      readonly settings: Settings;
      readonly maySleep: boolean;
    },
  ): PowerHost {
    const { world, power, settings, maySleep } = known;
    const { nowMs, marks, reservations } = world;
    const facts = world.hosts.get(name);
    const mark = marks.get(name);
    const isUsed =
      guestsAt(world, name).length > 0 ||
      reservations.some(({ host, source }) => host === name || source === name);
    if (isUsed) this.#empty.delete(name);
    else if (!this.#empty.has(name)) this.#empty.set(name, nowMs);
    if (power?.state !== 'waking') this.#called.delete(name);
    const isManagers = facts?.powerMode?.sets === 'manager';
    const isLeft = (this.#leftUntil.get(name) ?? 0) > nowMs;
    const emptySinceMs = this.#empty.get(name);
    return {
      name,
      isNamed: settings.hosts.includes(name) && !(isLeft && power === undefined),
      maySleep: maySleep && !isManagers,
      isUp: facts !== undefined && facts.silentSinceMs === undefined,
      isUsed,
      isClosed: isManagers || (mark?.drainingFor ?? mark?.maintenance) !== undefined,
      memoryBytes: facts?.memoryBytes ?? 0,
      isCalled: nowMs - (this.#called.get(name) ?? -Infinity) < CALL_AGAIN_MS,
      ...defined({ emptySinceMs, power }),
    };
  }

  async #take(
    host: string,
    step: PowerStep,
    settings: Settings,
    power: HostPower | undefined,
  ): Promise<void> {
    const { store, log, held } = this.#deps;
    if (step === 'close') {
      if (await closeForSleep(store, held(), host))
        log.info({ host }, 'host without guests will be put to sleep: closed to guests');
      return;
    }
    if (power === undefined) return;
    const { state: from } = power;
    switch (step) {
      case 'open':
      case 'found-on':
        return this.#set(host, from, 'on', 'guests may come to a host again');
      case 'found-asleep':
        return this.#set(host, from, 'asleep', 'a host that was to fall asleep is silent');
      case 'ask-to-wake':
        return this.#set(host, from, 'waking', 'a host is to wake');
      case 'put-to-sleep':
        return this.#begin(host, () => this.#putToSleep(host, settings));
      case 'wake':
        return this.#begin(host, () => this.#wake(host, settings, power));
    }
  }

  async #set(host: string, from: PowerState, to: PowerState | 'on', words: string): Promise<void> {
    const { store, log, held, hosts } = this.#deps;
    if (to === 'on') await hosts.open(host, FALLING_ASLEEP);
    if (await setPower(store, held(), { host, from, to })) log.info({ host }, words);
  }

  #begin(host: string, work: () => Promise<void>): void {
    const done = work()
      .catch((thrown: unknown) =>
        this.#deps.log.warn(
          { host, error: toGodwitError(thrown) },
          'power state of a host not set',
        ),
      )
      .finally(() => this.#running.delete(host));
    this.#running.set(host, done);
  }

  async #putToSleep(host: string, settings: Settings): Promise<void> {
    const why = await this.#whyInUse(host);
    if (why !== undefined) {
      this.#deps.log.info({ host, why }, 'host not put to sleep');
      this.#empty.delete(host);
      await this.#set(host, 'falling-asleep', 'on', 'guests may come to a host again');
      return;
    }
    const answer = await this.#call('sleep', host, settings);
    if (answer.ok) return this.#set(host, 'falling-asleep', 'asleep', 'a host was put to sleep');
    this.#deps.log.warn({ host, why: answer.why }, 'host could not be put to sleep');
    this.#leftUntil.set(host, (await this.#nowMs()) + NOT_AGAIN_MS);
    await this.#set(host, 'falling-asleep', 'on', 'guests may come to a host again');
  }

  /** The closed host's own answer: a list lacks a guest that another program moves there. */
  async #whyInUse(host: string): Promise<string | undefined> {
    const { hosts } = this.#deps;
    const heard = await hosts.occupancy(host, FALLING_ASLEEP);
    if (heard.of === 'silent') return heard.words;
    const { guests, underWay } = heard.occupancy;
    const [guest = underWay[0]?.guest] = guests;
    if (guest === undefined) return undefined;
    return `${guest} is there, or a migration moves it`;
  }

  async #wake(host: string, settings: Settings, { sinceMs }: HostPower): Promise<void> {
    const { log } = this.#deps;
    const answer = await this.#call('wake', host, settings);
    const nowMs = await this.#nowMs();
    this.#called.set(host, nowMs);
    if (!answer.ok) log.warn({ host, why: answer.why }, 'host could not be woken');
    else if (nowMs - sinceMs > settings.wakeMs) {
      log.warn({ host, sinceMs }, 'woken host does not report; waking it again');
    } else log.info({ host }, 'host woken');
  }

  #call(does: 'sleep' | 'wake', host: string, { program }: Settings): Promise<SiteAnswer> {
    const { runProgram = runSiteProgram } = this.#deps;
    const { file, timeoutMs: deadlineMs } = program;
    const input = `${JSON.stringify({ version: 1, does, host })}\n`;
    return runProgram({ file, args: [does, host], input, deadlineMs, signal: this.#looks.signal });
  }

  async #nowMs(): Promise<number> {
    return (await this.#deps.requests.world()).nowMs;
  }
}

function sleepers(all: readonly Policy[]): (host: string) => boolean {
  const policies = all.filter(({ kind }) => kind === 'consolidate');
  const groups = policies
    .filter(({ scope }) => scope !== WHOLE_FLEET)
    .map(({ scope, hosts = [] }) => ({ scope, hosts }));
  const scopes = policies
    .filter(({ mode }) => mode === 'automatic')
    .map((policy) => scopeOf({ policy, groups }));
  return (host) => scopes.some((has) => has(host));
}

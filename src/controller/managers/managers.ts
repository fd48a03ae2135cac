import { diagnoseIn, type ManagerFinding } from '../../agent/host/managers.ts';
import type { Clock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import { Mutex } from '../../mutex.ts';
import type { Log } from '../../log.ts';
import type { ManagerEntry, ManagerPlace } from '../../protocol/controller/managers.ts';
import type { agentContract } from '../../protocol/contract.ts';
import { defined } from '../../protocol/defined.ts';
import { momentOf } from '../inventory/answers.ts';
import type { ManagedHosts } from '../inventory/managed.ts';
import type { Client } from '../../rpc/client.ts';
import type { Store } from '../store/store.ts';
import type { ManagerStore, KeptManager } from './manager-store.ts';
import { ManagerFollower, SILENT_MS, type ManagerHeard } from './follower.ts';
import { AgentDirectory } from './agent-directory.ts';
import { checkAtRest, hasServed, managersOnDisk } from './left-behind.ts';
import { endAgentAt, ManagerProcess } from './process.ts';
import { fileIn, namedIn } from './references.ts';

const DIAGNOSE_MS = 180_000;

export interface ManagersDependencies {
  readonly book: Pick<ManagerStore, 'list' | 'find' | 'password' | 'add' | 'remove'>;
  readonly store: Pick<Store, 'kind'>;
  readonly hosts: ManagedHosts;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Log;
}

interface Running {
  readonly kept: KeptManager;
  readonly place: AgentDirectory;
  readonly process: ManagerProcess;
  follower: ManagerFollower | undefined;
  sight: Sight;
}

export class Managers {
  readonly #deps: ManagersDependencies;
  readonly #running = new Map<string, Running>();
  readonly #left = new Map<string, AgentDirectory>();
  /** Serializes additions and removals: two of one name would share its files. */
  readonly #turns = new Mutex();

  constructor(deps: ManagersDependencies) {
    this.#deps = deps;
  }

  async start(): Promise<void> {
    const kept = await this.#deps.book.list();
    this.#findLeft(new Set(kept.map(({ name }) => name)));
    for (const each of kept) this.#begin(each);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map((each) => ended(each)));
    this.#running.clear();
  }

  list(): ManagerEntry[] {
    return [...this.#running.values()].map((each) => this.#entryOf(each));
  }

  /** GODWIT_MANAGER_UNKNOWN. */
  entry(name: string): ManagerEntry {
    return this.#entryOf(this.#found(name));
  }

  /** The caller closes it. GODWIT_MANAGER_UNKNOWN. */
  agentOf(name: string): Client<typeof agentContract> {
    return this.#found(name).process.speak();
  }

  /**
   * Tests the manager first: GODWIT_MANAGER_REFUSED if it cannot be used. Reuses an abandoned directory of that name
   * with its journals.
   */
  add(
    name: string,
    place: ManagerPlace,
    secret: { readonly password: string; readonly by: string },
  ): Promise<ManagerFinding[]> {
    return this.#turns.run(() => this.#add(name, place, secret));
  }

  async #add(
    name: string,
    place: ManagerPlace,
    { password, by }: { readonly password: string; readonly by: string },
  ): Promise<ManagerFinding[]> {
    const { book, store, stateDir, clock } = this.#deps;
    if (store.kind !== 'sqlite') {
      const what =
        'several controllers may share this database, and a manager has one agent at one of them';
      throw godwitError('GODWIT_MANAGER_REFUSED', { manager: name, what });
    }
    if (this.#running.has(name)) throw godwitError('GODWIT_MANAGER_TAKEN', { name });
    const file = fileIn(place.options);
    if (file !== undefined) {
      const what = `its options name a file of this host (${file}); add that manager by itself, and name it as { "manager": NAME }`;
      throw godwitError('GODWIT_MANAGER_REFUSED', { manager: name, what });
    }
    const missing = namedIn(place.options).find((other) => !this.#running.has(other));
    if (missing !== undefined) {
      const what = `its options name a manager ${missing}, and none is called so`;
      throw godwitError('GODWIT_MANAGER_REFUSED', { manager: name, what });
    }
    const at = new AgentDirectory(stateDir, name, (other) => this.#placeOf(other));
    const checks = await this.#tried(at.trial, place, password);
    let isKept = false;
    try {
      await at.write(place, password);
      await book.add(name, place, password, by);
      isKept = true;
    } finally {
      if (!isKept && !this.#left.has(name)) at.remove();
    }
    if (this.#left.delete(name)) await endAgentAt(at, clock);
    this.#begin(await book.find(name));
    return checks;
  }

  /** Findings of a manager that is not stored yet; GODWIT_MANAGER_REFUSED. */
  async #tried(
    trial: AgentDirectory,
    place: ManagerPlace,
    password: string,
  ): Promise<ManagerFinding[]> {
    try {
      trial.writeAccess(place, password);
      const checks = await this.#diagnosed(trial, place);
      const bad = checks.find(({ verdict }) => verdict === 'fail');
      const isIn = checks.some((each) => each.name === 'login' && each.verdict === 'ok');
      if (bad === undefined || isIn) return checks;
      const facts = { manager: trial.name, what: bad.found };
      throw godwitError('GODWIT_MANAGER_REFUSED', facts, hintIn(bad));
    } finally {
      trial.removeSecret();
    }
  }

  async diagnose(name: string): Promise<ManagerFinding[]> {
    const { place, kept } = this.#found(name);
    place.writeSecret(await this.#deps.book.password(name));
    return this.#diagnosed(place, kept.place);
  }

  /**
   * Removes its password and journals. GODWIT_MANAGER_BUSY while a migration is open, or another manager's options name
   * it.
   */
  remove(name: string): Promise<void> {
    return this.#turns.run(() => this.#remove(name));
  }

  async #remove(name: string): Promise<void> {
    const { book, hosts, clock } = this.#deps;
    const left = this.#left.get(name);
    if (left !== undefined) {
      checkAtRest(left, clock);
      await endAgentAt(left, clock);
      checkAtRest(left, clock);
      left.remove();
      this.#left.delete(name);
      return;
    }
    const running = this.#found(name);
    checkAtRest(running.place, clock);
    // Guests of that manager move to this one with its password.
    const by = this.#whoNames(name);
    if (by !== undefined)
      throw godwitError('GODWIT_MANAGER_BUSY', {
        manager: name,
        why: `${by} names it in its options`,
      });
    await ended(running);
    try {
      checkAtRest(running.place, clock);
      await book.remove(name);
    } catch (thrown) {
      this.#begin(running.kept);
      throw thrown;
    }
    this.#running.delete(name);
    hosts.remove(name);
    running.place.remove();
  }

  async #diagnosed(at: AgentDirectory, place: ManagerPlace): Promise<ManagerFinding[]> {
    const found = await diagnoseIn(at.configOf(place), AbortSignal.timeout(DIAGNOSE_MS));
    if (found !== undefined) return found;
    const what = `${place.driver} has no manager that could be asked`;
    throw godwitError('GODWIT_MANAGER_REFUSED', { manager: at.name, what });
  }

  #begin(kept: KeptManager): void {
    const { book, hosts, stateDir, clock, log } = this.#deps;
    const place = new AgentDirectory(stateDir, kept.name, (other) => this.#placeOf(other));
    const prepare = async (): Promise<void> =>
      place.write(kept.place, await book.password(kept.name));
    const process = new ManagerProcess({ place, prepare, clock, log });
    const sight: Sight = { state: 'starting', sinceMs: clock.wallMs() };
    const running: Running = { kept, place, process, follower: undefined, sight };
    this.#running.set(kept.name, running);
    const { hostname, port } = new URL(kept.place.url);
    const address = `${hostname}:${port || '443'}`;
    const heard = hosts.add(kept.name, address, () => running.follower?.again());
    running.follower = new ManagerFollower({
      speak: () => process.speak({ streamIdleMs: SILENT_MS }),
      heard: watchedBy(running, heard, { clock, log }),
      clock,
    });
  }

  #entryOf({ kept, sight, place }: Running): ManagerEntry {
    const { driver, url, user, fingerprint } = kept.place;
    const { state, sinceMs, reason } = sight;
    return {
      name: kept.name,
      driver,
      url,
      user,
      ...defined({ fingerprint }),
      state,
      since: momentOf(sinceMs),
      ...defined({ reason }),
      ...this.#deps.hosts.counts(kept.name),
      socket: place.socket,
      createdAt: momentOf(kept.createdAtMs),
      createdBy: kept.createdBy,
    };
  }

  #whoNames(name: string): string | undefined {
    const all = [...this.#running.values()];
    return all.find(({ kept }) => namedIn(kept.place.options).includes(name))?.kept.name;
  }

  #placeOf(name: string): ManagerPlace | undefined {
    return this.#running.get(name)?.kept.place;
  }

  #found(name: string): Running {
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    throw godwitError('GODWIT_MANAGER_UNKNOWN', { manager: name });
  }

  #findLeft(names: ReadonlySet<string>): void {
    const { stateDir, log } = this.#deps;
    for (const manager of managersOnDisk(stateDir)) {
      if (names.has(manager)) continue;
      const place = new AgentDirectory(stateDir, manager);
      if (!hasServed(place)) place.remove();
      else {
        this.#left.set(manager, place);
        log.error({ manager, directory: place.dir }, NOT_IN_DATABASE);
      }
    }
  }
}

const NOT_IN_DATABASE =
  'the database has no manager of this name, and its journals are kept: add it again, or remove it';

async function ended({ process, follower }: Running): Promise<void> {
  await follower?.end();
  await process.close();
}

function hintIn({ hint }: ManagerFinding): { readonly hint: string } | undefined {
  return hint === undefined ? undefined : { hint };
}

interface Sight {
  readonly state: ManagerEntry['state'];
  readonly sinceMs: number;
  readonly reason?: string | undefined;
}

interface RunningManager {
  readonly kept: { readonly name: string };
  readonly process: { readonly hasAnswered: boolean };
  sight: Sight;
}

function watchedBy(
  running: RunningManager,
  heard: ManagerHeard,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): ManagerHeard {
  const manager = running.kept.name;
  const isNow = (state: 'up' | 'silent', reason?: string): void => {
    const { state: before } = running.sight;
    running.sight = next(running.sight, { state, sinceMs: clock.wallMs(), reason });
    if (state === before) return;
    if (state === 'silent') log.warn({ manager, reason }, 'manager does not answer');
    else log.info({ manager }, 'manager answers');
  };
  return {
    ...heard,
    all: (hosts, guests) => {
      heard.all(hosts, guests);
      isNow('up');
    },
    silent: (reason) => {
      // A starting agent has not been asked yet.
      if (running.sight.state === 'starting' && !running.process.hasAnswered) return;
      heard.silent(reason);
      isNow('silent', reason);
    },
  };
}

const next = (before: Sight, seen: Sight): Sight =>
  before.state === seen.state ? { ...seen, sinceMs: before.sinceMs } : seen;

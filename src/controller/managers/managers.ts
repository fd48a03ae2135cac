import { diagnoseIn } from '../../agent/managers.ts';
import type { ManagerFinding } from '../../agent/managers.ts';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../clock.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import { Mutex } from '../../mutex.ts';
import type { Log } from '../../log.ts';
import type { ManagerEntry, ManagerPlace } from '../../protocol/controller/managers.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import { everyPage } from '../../protocol/public/page.ts';
import { momentOf } from '../inventory/answers.ts';
import type { Store } from '../store/open.ts';
import type { ManagerBook, KeptManager } from './book.ts';
import { AgentPlace } from './place.ts';
import { ManagerProcess } from './process.ts';

const LOOK_MS = 5000;
const ANSWER_MS = 30_000;
const DIAGNOSE_MS = 180_000;
const MOST_GUESTS = 100_000;

export interface ManagersParts {
  readonly book: ManagerBook;
  readonly store: Pick<Store, 'kind'>;
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Log;
}

type Sight = Pick<ManagerEntry, 'state' | 'reason' | 'hosts' | 'guests'> & {
  readonly sinceMs: number;
};

interface Running {
  readonly kept: KeptManager;
  readonly place: AgentPlace;
  readonly process: ManagerProcess;
  readonly end: AbortController;
  looking: Promise<void>;
  sight: Sight;
}

/** The managers of this controller: each has an agent of its own, which this keeps running and asks how its manager is. */
export class Managers {
  readonly #parts: ManagersParts;
  readonly #running = new Map<string, Running>();
  /** Additions and removals come one after the other: two of one name would share its files. */
  readonly #turns = new Mutex();

  constructor(parts: ManagersParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    const kept = await this.#parts.book.list();
    this.#tidy(new Set(kept.map(({ name }) => name)));
    for (const each of kept) this.#begin(each);
  }

  /** Their agents end, and their movers go on. */
  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map((each) => ended(each)));
    this.#running.clear();
  }

  list(): ManagerEntry[] {
    return [...this.#running.values()].map(entryOf);
  }

  /** GODWIT_MANAGER_UNKNOWN. */
  entry(name: string): ManagerEntry {
    return entryOf(this.#found(name));
  }

  /**
   * Asks it first: GODWIT_MANAGER_REFUSED where nobody could work with it, and nothing is kept then. Resolves to what was
   * found.
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
    const { book, store, stateDir } = this.#parts;
    if (store.kind !== 'sqlite') {
      const what =
        'several controllers may share this database, and a manager has one agent at one of them';
      throw godwitError('GODWIT_MANAGER_REFUSED', { manager: name, what });
    }
    if (this.#running.has(name)) throw godwitError('GODWIT_MANAGER_TAKEN', { name });
    const at = new AgentPlace(stateDir, name);
    let isKept = false;
    try {
      await at.write(place, password);
      const checks = await this.#diagnosed(at, place);
      const bad = checks.find(({ verdict }) => verdict === 'fail');
      const isIn = checks.some((each) => each.name === 'login' && each.verdict === 'ok');
      if (bad !== undefined && !isIn) {
        throw godwitError(
          'GODWIT_MANAGER_REFUSED',
          { manager: name, what: bad.found },
          hintIn(bad),
        );
      }
      await book.add(name, place, password, by);
      isKept = true;
      this.#begin(await book.find(name));
      return checks;
    } finally {
      if (!isKept && !this.#running.has(name)) at.remove();
    }
  }

  async diagnose(name: string): Promise<ManagerFinding[]> {
    const { place, kept } = this.#found(name);
    place.writeSecret(await this.#parts.book.password(name));
    return this.#diagnosed(place, kept.place);
  }

  /** Its password goes, wherever it lies. GODWIT_MANAGER_BUSY while a migration of its guests is open. */
  remove(name: string): Promise<void> {
    return this.#turns.run(() => this.#remove(name));
  }

  async #remove(name: string): Promise<void> {
    const running = this.#found(name);
    const open = await running.process.ask(openMigrations).catch(() => []);
    if (open.length > 0)
      throw godwitError('GODWIT_MANAGER_BUSY', {
        manager: name,
        migrations: open.slice(0, 8).join(', '),
      });
    await this.#parts.book.remove(name);
    this.#running.delete(name);
    await ended(running);
    running.place.remove();
  }

  async #diagnosed(at: AgentPlace, place: ManagerPlace): Promise<ManagerFinding[]> {
    const found = await diagnoseIn(at.configOf(place), AbortSignal.timeout(DIAGNOSE_MS));
    if (found !== undefined) return found;
    const what = `${place.driver} has no manager that could be asked`;
    throw godwitError('GODWIT_MANAGER_REFUSED', { manager: at.name, what });
  }

  #begin(kept: KeptManager): void {
    const { book, stateDir, clock, log } = this.#parts;
    const place = new AgentPlace(stateDir, kept.name);
    const prepare = async (): Promise<void> =>
      place.write(kept.place, await book.password(kept.name));
    const process = new ManagerProcess({ place, prepare, clock, log });
    const end = new AbortController();
    const sight: Sight = { state: 'starting', sinceMs: clock.wallMs() };
    const running: Running = { kept, place, process, end, sight, looking: Promise.resolve() };
    this.#running.set(kept.name, running);
    running.looking = this.#watch(running);
  }

  async #watch(running: Running): Promise<void> {
    const { clock, log } = this.#parts;
    const { signal } = running.end;
    while (!signal.aborted) {
      const seen = await looked(running.process, clock.wallMs());
      if (signal.aborted) return;
      const { state: before } = running.sight;
      running.sight = next(running.sight, seen);
      const { state, reason } = running.sight;
      const manager = running.kept.name;
      if (state === 'silent' && before !== state)
        log.warn({ manager, reason }, 'a manager is silent');
      if (state === 'up' && before !== state) log.info({ manager }, 'a manager answers');
      await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
    }
  }

  #found(name: string): Running {
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    throw godwitError('GODWIT_MANAGER_UNKNOWN', { manager: name });
  }

  /** What is left of an addition or a removal that a crash has cut off. */
  #tidy(names: ReadonlySet<string>): void {
    const { stateDir } = this.#parts;
    let there: string[] = [];
    try {
      there = readdirSync(path.join(stateDir, 'managers'));
    } catch {
      return;
    }
    for (const name of there) if (!names.has(name)) new AgentPlace(stateDir, name).remove();
  }
}

/** The manager is asked through its agent: its guests are looked at anew. */
async function looked(process: ManagerProcess, nowMs: number): Promise<Sight> {
  try {
    const guests = await process.ask((api) =>
      everyPage(async (cursor) => {
        const query = { fresh: cursor === undefined ? 'true' : 'false', cursor } as const;
        const { guests: items, next: more } = await api.guests(
          { query },
          { deadlineMs: ANSWER_MS },
        );
        return more === undefined ? { items } : { items, next: more };
      }, MOST_GUESTS),
    );
    const hosts = new Set(guests.map(({ host }) => host)).size;
    return { state: 'up', sinceMs: nowMs, hosts, guests: guests.length };
  } catch (thrown) {
    const reason = toGodwitError(thrown).message.slice(0, 1000);
    return { state: 'silent', sinceMs: nowMs, reason };
  }
}

/** Since when it is so; of one that is silent, when it answered last. What it told last is kept. Pure. */
export function next(before: Sight, seen: Sight): Sight {
  if (seen.state === 'up') {
    return before.state === 'up' ? { ...seen, sinceMs: before.sinceMs } : seen;
  }
  // An agent that starts has not been asked yet.
  const { hosts, guests } = before;
  const reported = hosts === undefined ? {} : { hosts, guests };
  const sinceMs = before.state === 'silent' ? before.sinceMs : seen.sinceMs;
  return { ...seen, ...reported, sinceMs };
}

async function openMigrations(
  api: Parameters<Parameters<ManagerProcess['ask']>[0]>[0],
): Promise<string[]> {
  const { migrations } = await api.migrations({ query: {} }, { deadlineMs: ANSWER_MS });
  return migrations.filter(({ phase }) => !isEnd(phase)).map(({ id }) => id);
}

async function ended({ end, process, looking }: Running): Promise<void> {
  end.abort();
  await process.close();
  await looking;
}

function entryOf({ kept, sight, place }: Running): ManagerEntry {
  const { driver, url, user, fingerprint } = kept.place;
  const { state, sinceMs, reason, hosts, guests } = sight;
  return {
    name: kept.name,
    driver,
    url,
    user,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    state,
    since: momentOf(sinceMs),
    ...(reason === undefined ? {} : { reason }),
    ...(hosts === undefined ? {} : { hosts }),
    ...(guests === undefined ? {} : { guests }),
    socket: place.socket,
    createdAt: momentOf(kept.createdAtMs),
    createdBy: kept.createdBy,
  };
}

function hintIn({ hint }: ManagerFinding): { readonly hint: string } | undefined {
  return hint === undefined ? undefined : { hint };
}

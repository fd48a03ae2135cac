import { randomBytes } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { Log } from '../../log.ts';
import { Poller } from '../../poller.ts';
import type { HostHealth } from '../../protocol/public/hosts/health.ts';
import type { ControllerConfig } from '../config.ts';
import type { HeldShards } from '../inventory/leases.ts';
import {
  drainIll,
  illHosts,
  maintenanceNotes,
  writeIll,
  writeWell,
  type IllHost,
} from '../store/health.ts';
import type { Store } from '../store/store.ts';
import { ILL, judged, snapshotOf, WELL, type Verdict } from './verdict.ts';

export interface HealthWatchDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: ControllerConfig['health'];
  readonly held: () => HeldShards;
  readonly hosts: () => readonly {
    readonly name: string;
    readonly health: HostHealth | undefined;
  }[];
}

const LOOK_MS = 10_000;

/**
 * A host is ill if its hardware or an operator's note reports it; the health policy decides what follows. A silent host
 * is not judged.
 */
export class HealthWatch {
  readonly #deps: HealthWatchDependencies;
  readonly #verdicts = new Map<string, Verdict>();
  readonly #reported = new Map<string, { readonly at: string; readonly sinceMs: number }>();
  readonly #looks: Poller;

  constructor(deps: HealthWatchDependencies) {
    this.#deps = deps;
    this.#looks = new Poller(deps);
  }

  start(): void {
    if (this.#deps.policy.policy === 'off') return;
    this.#looks.start(LOOK_MS, () => this.look(), 'which hosts are ill was not seen to');
  }

  async close(): Promise<void> {
    await this.#looks.close();
  }

  async look(): Promise<void> {
    const { store } = this.#deps;
    const [known, notes] = [await illHosts(store), await maintenanceNotes(store)];
    const hosts = this.#deps.hosts();
    const followed = new Set(hosts.map(({ name }) => name));
    for (const each of [this.#verdicts, this.#reported])
      for (const name of each.keys()) if (!followed.has(name)) each.delete(name);
    for (const { name, health } of hosts) {
      const verdict = this.#judge(name, health, known.get(name));
      const words = wordsOf(health, verdict, notes.get(name), known.get(name));
      await this.#write(name, words, known.get(name));
    }
  }

  /** A host whose hardware failed before it was followed must first be seen to be well. */
  #judge(name: string, health: HostHealth | undefined, known: IllHost | undefined): Verdict {
    const { policy, clock } = this.#deps;
    const before = this.#verdicts.get(name) ?? ((known?.words ?? '') === '' ? WELL : ILL);
    const nowMs = clock.monotonicMs();
    const verdict = judged(
      before,
      snapshotOf(health, this.#ageMs(name, health, nowMs)),
      nowMs,
      policy,
    );
    this.#verdicts.set(name, verdict);
    return verdict;
  }

  #ageMs(name: string, health: HostHealth | undefined, nowMs: number): number {
    const reported = this.#reported.get(name);
    if (health === undefined || reported?.at !== health.at)
      this.#reported.set(name, { at: health?.at ?? '', sinceMs: nowMs });
    return nowMs - (this.#reported.get(name)?.sinceMs ?? nowMs);
  }

  async #write(host: string, words: string | undefined, known: IllHost | undefined): Promise<void> {
    const { store, policy, log } = this.#deps;
    const held = this.#deps.held();
    if (words === undefined) {
      if (known === undefined) return;
      await writeWell(store, held, host);
      log.info({ host }, 'host healthy again');
      return;
    }
    if (known?.words !== words) await writeIll(store, held, { host, words });
    if (known === undefined) log.warn({ host, words }, 'host unhealthy');
    if (policy.policy !== 'drain' || known?.request !== undefined) return;
    const id = `r-${randomBytes(6).toString('hex')}`;
    const request = await drainIll(store, held, { host, id, most: policy.mostDrained });
    if (request !== undefined) log.warn({ host, request, words }, 'unhealthy host drained');
  }
}

const MAX_WORDS = 1000;

/** Failing hardware of an ill host. Empty: only an operator noted it. Undefined: not ill. */
function wordsOf(
  health: HostHealth | undefined,
  { isIll }: Verdict,
  note: string | undefined,
  known: IllHost | undefined,
): string | undefined {
  if (!isIll) return note === undefined ? undefined : '';
  const signals = (health?.signals ?? []).filter(({ level }) => level === 'failing');
  const failing = signals.map(({ kind, part, words }) => `${kind} ${part}: ${words}`).join('; ');
  return (failing || known?.words || 'it was failing').slice(0, MAX_WORDS);
}

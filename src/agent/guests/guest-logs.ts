import path from 'node:path';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import {
  capLog,
  eachLog,
  guestsDirOf,
  guestsElsewhere,
  guestsWithLogs,
  logPlacesOf,
  logsElsewhere,
  logSize,
  type GuestLog,
} from '../../host/guest-logs.ts';
import { removeTree } from '../../system/files/remove-tree.ts';
import type { Log, LogFacts } from '../../log.ts';
import { ChangedDirectories } from './changed-directories.ts';

/** Pause between two checks. A guest that writes at this rate fills its disk's share by the next one. */
const LOOK_MS = 500;
/** Pause while a log near its bound grows. A guest can exceed the bound by its output in this time. */
const FLOOD_MS = 50;
const NEAR = 0.25;
const ALL_MS = 15_000;
const MAX_FAILED = 1000;

export class GuestLogs {
  readonly #config: AgentConfig;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #ending = new AbortController();
  readonly #failed = new Set<string>();
  readonly #changed = new ChangedDirectories();
  #quietSince: number | undefined;
  #sizes = new Map<string, number>();
  #guests: readonly string[] = [];
  #running: Promise<void> | undefined;

  constructor(config: AgentConfig, clock: Clock, log: Log) {
    this.#config = config;
    this.#clock = clock;
    this.#log = log;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    this.#changed.keep(new Set());
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    let allAtMs = -Infinity;
    while (!signal.aborted) {
      const nowMs = this.#clock.monotonicMs();
      const isOfAll = nowMs - allAtMs >= ALL_MS;
      if (isOfAll) allAtMs = nowMs;
      const isNear = await this.look(isOfAll);
      await this.#clock.sleep(isNear ? FLOOD_MS : LOOK_MS, signal).catch(() => undefined);
    }
  }

  /**
   * Cuts long logs and removes logs of departed guests. Returns whether a log grows towards its bound. Never rejects.
   */
  async look(isOfAll = true): Promise<boolean> {
    const { stateDir } = this.#config;
    const { changes } = this.#changed;
    if (!isOfAll && changes === this.#quietSince) return false;
    this.#quietSince = undefined;
    try {
      const hasOthers = this.#changedAt([stateDir, guestsDirOf(this.#config)]) || isOfAll;
      // Read before the guests are: a guest that arrives meanwhile has its own directory first.
      const kept = hasOthers ? await this.#kept() : [];
      if (hasOthers) this.#guests = await guestsWithLogs(this.#config);
      this.#failed.delete(stateDir);
      const guests = this.#guests;
      const toSee = guests.filter((each) => this.#hasChanged(each) || isOfAll);
      const isNear = await this.#lookAt(toSee, new Map(isOfAll ? [] : this.#sizes));
      if (!hasOthers && toSee.length === 0) this.#quietSince = changes;
      if (hasOthers) await this.#forget(kept.filter((name) => !guests.includes(name)));
      return isNear;
    } catch (err) {
      this.#warn(stateDir, { err }, 'the guests cannot be listed: their logs are left as they are');
      return false;
    }
  }

  async #kept(): Promise<string[]> {
    return guestsElsewhere(this.#config).catch((err: unknown) => {
      const directory = logsElsewhere(this.#config) ?? '';
      this.#warn(directory, { err, directory }, 'the logs of guests that are gone are not removed');
      return [];
    });
  }

  /** `filter` asks about every directory, because asking starts the watch. */
  #changedAt(directories: readonly string[]): boolean {
    return directories.filter((each) => this.#changed.has(each)).length > 0;
  }

  #hasChanged(guest: string): boolean {
    return this.#changedAt(logPlacesOf(this.#config, guest));
  }

  async #lookAt(guests: readonly string[], sizes: Map<string, number>): Promise<boolean> {
    const { bytes } = this.#config.guestLogs;
    let isNear = false;
    for (const guest of guests) {
      await eachLog(this.#config, guest, {
        see: async (log) => {
          const size = await logSize(log.at);
          sizes.set(log.file, size);
          isNear ||= size > bytes * NEAR && size !== this.#sizes.get(log.file);
          if (size > bytes) await this.#cut(log);
        },
        failed: (directory, err) =>
          this.#warn(directory, { err, directory }, 'a directory of a guest’s logs is left alone'),
      });
    }
    this.#sizes = sizes;
    return isNear;
  }

  async #forget(gone: readonly string[]): Promise<void> {
    const places = this.#guests.flatMap((each) => logPlacesOf(this.#config, each));
    const { stateDir } = this.#config;
    this.#changed.keep(new Set([stateDir, guestsDirOf(this.#config), ...places]));
    const elsewhere = logsElsewhere(this.#config);
    if (elsewhere === undefined) return;
    for (const name of gone) {
      const directory = path.join(elsewhere, name);
      await removeTree(directory).catch(() => undefined);
    }
  }

  async #cut({ file, at }: GuestLog): Promise<void> {
    await capLog(at, this.#config.guestLogs.bytes).catch((err: unknown) =>
      this.#warn(file, { err, file }, 'a log of a guest is not kept within its bound'),
    );
  }

  #warn(place: string, facts: LogFacts, text: string): void {
    if (this.#failed.has(place)) return;
    if (this.#failed.size >= MAX_FAILED) this.#failed.clear();
    this.#failed.add(place);
    this.#log.warn(facts, text);
  }
}

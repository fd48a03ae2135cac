import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../clock.ts';
import type { AgentConfig } from '../config.ts';
import { capLog, guestsWithLogs, logsElsewhere, logSize, logsOf } from '../host/guest-logs.ts';
import type { Log } from '../log.ts';

/** Between two looks. A guest that writes this fast has all of its disk's room by the next one. */
const LOOK_MS = 500;
/** While one of them grows and is near its bound: a guest may write above it what it writes in that time. */
const FLOOD_MS = 50;
const NEAR = 0.25;
const MOST_FAILED = 1000;

/** Keeps the logs of this host's guests within their bound, as long as the agent runs. */
export class GuestLogs {
  readonly #config: AgentConfig;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #ending = new AbortController();
  readonly #failed = new Set<string>();
  #sizes: ReadonlyMap<string, number> = new Map();
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
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const isNear = await this.look();
      await this.#clock.sleep(isNear ? FLOOD_MS : LOOK_MS, signal).catch(() => undefined);
    }
  }

  /** Cuts what is too long. Whether one of them grows towards its bound. Never rejects. */
  async look(): Promise<boolean> {
    const { bytes } = this.#config.guestLogs;
    const elsewhere = logsElsewhere(this.#config);
    // Before the guests: one that comes meanwhile has its own directory first.
    const kept = elsewhere === undefined ? [] : await readdir(elsewhere).catch(() => []);
    const guests = await guestsWithLogs(this.#config);
    const sizes = new Map<string, number>();
    let isNear = false;
    for (const guest of guests) {
      for (const file of await logsOf(this.#config, guest)) {
        const size = await logSize(file);
        sizes.set(file, size);
        isNear ||= size > bytes * NEAR && size !== this.#sizes.get(file);
        if (size > bytes) await this.#cut(file);
      }
    }
    this.#sizes = sizes;
    for (const name of kept) {
      if (guests.includes(name)) continue;
      const gone = path.join(elsewhere ?? '', name);
      await rm(gone, { recursive: true, force: true }).catch(() => undefined);
    }
    return isNear;
  }

  async #cut(file: string): Promise<void> {
    await capLog(file, this.#config.guestLogs.bytes).catch((err: unknown) => {
      if (this.#failed.has(file)) return;
      // Said once: it may be tried twenty times a second.
      if (this.#failed.size >= MOST_FAILED) this.#failed.clear();
      this.#failed.add(file);
      this.#log.warn({ err, file }, 'a log of a guest is not kept within its bound');
    });
  }
}

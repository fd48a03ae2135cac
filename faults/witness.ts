/**
 * The independent witness of one guest: it holds a monitor of each of its QEMUs, on whichever host one comes up, and
 * keeps when each copy ran. It asks QEMU alone; what Godwit says does not reach it.
 */
import path from 'node:path';
import { readFileSync } from 'node:fs';
import { guestFiles } from '../lab/guest/argv.ts';
import { systemClock } from '../src/clock.ts';
import type { Lab } from '../lab/state.ts';
import { Monitor } from '../lab/witness/monitor.ts';
import { spans, type RunMark, type Span } from './timeline.ts';

/** Between two looks at each QEMU, ms. Its stops and starts come as events; the looks find what no event reported. */
const LOOK_MS = 100;
/** Between two tries to find a QEMU that has come up, ms. */
const SEARCH_MS = 10;

/** Not QEMU's word: its monitor has ended, and most likely QEMU with it. */
const CLOSED = 'CLOSED';

interface QemuEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** ms since 1970. */
  readonly atMs: number;
}

export interface SeenEvent extends QemuEvent {
  readonly host: string;
}

export interface Traffic {
  readonly atMs: number;
  readonly host: string;
  readonly status: string;
  readonly transferred: number;
}

export class Witness {
  readonly marks: RunMark[] = [];
  readonly events: SeenEvent[] = [];
  /** The stream as the source's QEMU reported it, at each look at which it had changed. */
  readonly traffic: Traffic[] = [];
  readonly #lab: Lab;
  readonly #guest: string;
  readonly #monitors = new Map<string, Monitor>();
  readonly #listeners = new Set<(event: SeenEvent) => void>();
  readonly #over = new AbortController();
  readonly #loops: Promise<void>[] = [];
  /** The pause until the next look at each host. */
  readonly #waits = new Map<string, AbortController>();

  private constructor(lab: Lab, guest: string) {
    this.#lab = lab;
    this.#guest = guest;
  }

  /** Resolves once it holds the monitor of the guest on `host`. */
  static async open(lab: Lab, guest: string, host: string): Promise<Witness> {
    const witness = new Witness(lab, guest);
    await witness.#look(host);
    if (!witness.#monitors.has(host)) throw new Error(`${host} has no ${guest} to watch`);
    for (const each of lab.hosts) witness.#loops.push(witness.#watch(each));
    return witness;
  }

  /** The QEMU's process on a host, as its pid file says; undefined where there is none. */
  pid(host: string): number | undefined {
    try {
      const pid = Number(readFileSync(this.#files(host).pid, 'utf8'));
      const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return argv.includes('qemu') ? pid : undefined;
    } catch {
      return undefined;
    }
  }

  /** Its QEMU has just been killed: it runs nothing from here on, however long its sockets take to close. */
  ended(host: string): void {
    this.#mark(host, systemClock.wallMs(), false);
  }

  onEvent(listener: (event: SeenEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  spans(): Span[] {
    return spans(this.marks, systemClock.wallMs());
  }

  /** The hosts whose copy runs now. */
  runningOn(): string[] {
    const now = systemClock.wallMs();
    return this.spans().flatMap((span) => (span.toMs >= now - 1 ? [span.host] : []));
  }

  async close(): Promise<void> {
    this.#over.abort(new Error('closed'));
    for (const monitor of this.#monitors.values()) monitor.close();
    await Promise.all(this.#loops);
  }

  #files(host: string): ReturnType<typeof guestFiles> {
    const member = this.#lab.members.find(({ name }) => name === host);
    return guestFiles(path.join(member?.stateDir ?? '', 'guests', this.#guest));
  }

  async #watch(host: string): Promise<void> {
    while (!this.#over.signal.aborted) {
      await this.#look(host);
      const pause = this.#monitors.has(host) ? LOOK_MS : SEARCH_MS;
      const wait = new AbortController();
      this.#waits.set(host, wait);
      const ends = AbortSignal.any([wait.signal, this.#over.signal]);
      await systemClock.sleep(pause, ends).catch(() => {});
    }
  }

  async #look(host: string): Promise<void> {
    let monitor = this.#monitors.get(host);
    if (monitor === undefined || monitor.closed) {
      if (this.pid(host) === undefined) return;
      monitor = await Monitor.connect(this.#files(host).witness, {
        onEvent: ({ event, ...rest }) => this.#heard(host, { name: event, ...rest }),
        onClose: () => {
          this.#monitors.delete(host);
          this.#heard(host, { name: CLOSED, data: {}, atMs: systemClock.wallMs() });
          // A guest that is started anew has another QEMU at once, which may run for a moment only.
          this.#waits.get(host)?.abort();
        },
      });
      if (monitor === undefined) return;
      this.#monitors.set(host, monitor);
    }
    const before = systemClock.wallMs();
    const status = (await monitor.ask('query-status'))?.['status'];
    if (typeof status === 'string') this.#mark(host, before, status === 'running');
    const stream = await monitor.ask('query-migrate');
    if (stream !== undefined) this.#flow(host, stream);
    if (monitor.closed) this.#monitors.delete(host);
  }

  #heard(host: string, event: QemuEvent): void {
    if (this.#over.signal.aborted) return;
    if (event.name === CLOSED) this.#mark(host, event.atMs, false);
    if (event.name === 'STOP' || event.name === 'RESUME') {
      this.#mark(host, event.atMs, event.name === 'RESUME');
    }
    const seen = { ...event, host };
    this.events.push(seen);
    for (const listener of this.#listeners) listener(seen);
  }

  /** A look that says what is known already adds nothing; nor does one that was taken before the latest event. */
  #mark(host: string, atMs: number, runs: boolean): void {
    const last = this.marks.findLast((mark) => mark.host === host);
    if (last?.runs === runs || (last !== undefined && last.atMs > atMs)) return;
    this.marks.push({ host, atMs, runs });
  }

  #flow(host: string, stream: Record<string, unknown>): void {
    const ram = stream['ram'] as { transferred?: number } | undefined;
    const status = typeof stream['status'] === 'string' ? stream['status'] : 'none';
    const transferred = ram?.transferred ?? 0;
    const last = this.traffic.findLast((each) => each.host === host);
    if (last?.status === status && last.transferred === transferred) return;
    this.traffic.push({ host, status, transferred, atMs: systemClock.wallMs() });
  }
}

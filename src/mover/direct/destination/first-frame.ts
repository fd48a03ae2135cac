import { readFileSync } from 'node:fs';
import type { Clock } from '../../../clock.ts';
import type { AgentConfig } from '../../../config.ts';
import type { DestinationState } from '../../../migration/direct/destination/destination.ts';

/** Interval between looks, ms; short at first. */
const SOON_MS = 2;
const SOON_FOR_MS = 300;
const LATER_MS = 20;
const MAX_MS = 10_000;

/** Frames that a port received from its guest; undefined without a port. */
export type CountFrames = (port: string) => number | undefined;

/** Frames out of a tap come from the guest, or from its hypervisor in the guest's name. */
const countFrames: CountFrames = (port) => {
  try {
    return Number(readFileSync(`/sys/class/net/${port}/statistics/rx_packets`, 'utf8'));
  } catch {
    return undefined;
  }
};

/** Time from the order to run until the first frame through a new port of the guest. */
export class FirstFrame {
  readonly #clock: Clock;
  readonly #count: CountFrames;
  #ms: number | undefined;
  #begun = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(clock: Clock, count: CountFrames = countFrames) {
    this.#clock = clock;
    this.#count = count;
  }

  /** The guest is ordered to run. Counts the first time, if it had sent nothing here. */
  expect(state: DestinationState, { network }: AgentConfig): void {
    if (this.#begun || network.probe === 'off') return;
    this.#begun = true;
    const ports = Object.values(state.ports);
    if (this.#framesOf(ports) === 0) this.#later(ports, this.#clock.monotonicMs(), SOON_MS);
  }

  #later(ports: readonly string[], since: number, ms: number): void {
    this.#timer = setTimeout(() => this.#look(ports, since), ms).unref();
  }

  #look(ports: readonly string[], since: number): void {
    const ms = this.#clock.monotonicMs() - since;
    if ((this.#framesOf(ports) ?? 0) > 0) this.#ms = ms;
    else if (ms < MAX_MS) this.#later(ports, since, ms < SOON_FOR_MS ? SOON_MS : LATER_MS);
  }

  isMissingOn(ports: readonly string[]): boolean {
    return ports.some((port) => this.#count(port) === 0);
  }

  #framesOf(ports: readonly string[]): number | undefined {
    const counts = ports.flatMap((port) => this.#count(port) ?? []);
    return counts.length === 0 ? undefined : counts.reduce((sum, each) => sum + each, 0);
  }

  /** Part of the report to the source; empty before the first frame. */
  report(): { firstFrameMs?: number } {
    return this.#ms === undefined ? {} : { firstFrameMs: this.#ms };
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}

import type { GuestMeasure } from '../../src/protocol/public/prediction.ts';
import type { ManagedOrder, TaskChange } from '../../src/migration/managed/task-sight.ts';
import type { MemorySample } from '../../src/protocol/public/migration.ts';
import type { Dirtying, ManagerOptions } from './manager-options.ts';

/** The memory of a guest that writes while a pretended manager moves it. */
export class ManagedStream {
  readonly #of: Dirtying;
  readonly #order: ManagedOrder;
  readonly #beganMs: number;
  #round = 1;
  #roundMs: number;
  /** As the round began, bytes. */
  #left: number;
  #sent = 0;
  /** bytes/s, in the round before. */
  #wrote = 0;
  #downtimeMs: number;
  #switched = false;
  /** When the guest runs at its destination with all of its memory. */
  #endsMs: number | undefined;

  constructor(of: Dirtying, order: ManagedOrder, nowMs: number) {
    this.#of = of;
    this.#order = order;
    this.#beganMs = nowMs;
    this.#roundMs = nowMs;
    this.#left = of.memoryBytes;
    this.#downtimeMs = order.maxDowntimeMs;
  }

  get postcopy(): boolean {
    return this.#switched;
  }

  change(change: TaskChange, nowMs: number): void {
    if ('maxDowntimeMs' in change) this.#downtimeMs = change.maxDowntimeMs;
    if (!('postcopy' in change) || this.#switched) return;
    this.#switched = true;
    const lastMs = this.#timeOf(this.#left);
    this.#endsMs = Math.max(nowMs, this.#roundMs) + lastMs;
  }

  /** When it was over; undefined while it is not by then. */
  endedBy(nowMs: number): number | undefined {
    while (this.#endsMs === undefined && nowMs >= this.#roundMs + this.#timeOf(this.#left)) {
      const tookMs = this.#timeOf(this.#left);
      this.#sent += this.#left;
      this.#roundMs += tookMs;
      this.#wrote = this.#dirtyRate;
      // As QEMU does: the guest is slower from here on, and what is reported is from before.
      this.#round += 1;
      const written = (this.#wrote * tookMs) / 1000;
      this.#left = Math.min(this.#of.memoryBytes, Math.round(written));
      if (this.#timeOf(this.#left) <= this.#downtimeMs)
        this.#endsMs = this.#roundMs + this.#timeOf(this.#left);
    }
    return this.#endsMs !== undefined && nowMs >= this.#endsMs ? this.#endsMs : undefined;
  }

  sample(nowMs: number): MemorySample {
    const { memoryBytes, rate } = this.#of;
    const throttlePercent = this.#throttlePercent;
    return {
      totalBytes: memoryBytes,
      remainingBytes: this.#left,
      transferredBytes: this.#sent,
      skippedBytes: 0,
      rate,
      dirtyRate: this.#wrote,
      round: this.#round,
      totalMs: nowMs - this.#beganMs,
      pageRequests: 0,
      ...(throttlePercent === 0 ? {} : { throttlePercent }),
    };
  }

  get #throttlePercent(): number {
    const { throttle } = this.#order;
    if (throttle === undefined || this.#of.throttles !== true || this.#round < 3) return 0;
    return Math.min(99, throttle.initial + (this.#round - 3) * throttle.increment);
  }

  get #dirtyRate(): number {
    return Math.round(this.#of.dirtyRate * (1 - this.#throttlePercent / 100));
  }

  #timeOf(bytes: number): number {
    return (bytes / this.#of.rate) * 1000;
  }
}

/** Of each guest. */
export const MEMORY_BYTES = 1024 ** 3;

/** Of a guest that never writes the same page twice in that time. */
export function measured({ dirtying }: Pick<ManagerOptions, 'dirtying'>): GuestMeasure {
  const { dirtyRate = 0 } = dirtying ?? {};
  const curve = [1, 2].map((seconds) => {
    const dirtyBytes = Math.min(MEMORY_BYTES, dirtyRate * seconds);
    return { windowMs: seconds * 1000, dirtyBytes };
  });
  return { how: 'hypervisor', memoryBytes: MEMORY_BYTES, pages: 0, curve };
}

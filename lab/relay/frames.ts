/** Destination and source address of an Ethernet frame, as hexadecimal text. */
function frameAddresses(frame: Buffer): {
  destination: string;
  source: string;
  isGroup: boolean;
} {
  return {
    destination: frame.toString('hex', 0, 6),
    source: frame.toString('hex', 6, 12),
    isGroup: ((frame[0] ?? 0) & 1) === 1,
  };
}

interface Waiting {
  readonly dueMs: number;
  readonly port: string;
  readonly frame: Buffer;
}

/**
 * A switch that lets every frame wait: learns addresses as a bridge does, keeps frames in their order,
 * and drops what comes when it is full. Times are monotonic ms.
 */
export class DelaySwitch {
  readonly #ports: readonly string[];
  readonly #delayMs: number;
  readonly #limitBytes: number;
  readonly #learned = new Map<string, string>();
  #waiting: Waiting[] = [];
  #head = 0;
  #bytes = 0;
  dropped = 0;

  constructor(ports: readonly string[], delayMs: number, limitBytes: number) {
    this.#ports = ports;
    this.#delayMs = delayMs;
    this.#limitBytes = limitBytes;
  }

  /** Takes a frame that came in at `port`. */
  accept(port: string, frame: Buffer, nowMs: number): void {
    const { destination, source, isGroup } = frameAddresses(frame);
    this.#learned.set(source, port);
    const known = isGroup ? undefined : this.#learned.get(destination);
    const targets = known === undefined ? this.#ports : [known];
    for (const target of targets) {
      if (target === port) continue;
      if (this.#bytes + frame.length > this.#limitBytes) {
        this.dropped += 1;
        continue;
      }
      this.#bytes += frame.length;
      this.#waiting.push({ dueMs: nowMs + this.#delayMs, port: target, frame });
    }
  }

  /** Takes out the frames whose time has come, by port. */
  release(nowMs: number): Map<string, Buffer[]> {
    const out = new Map<string, Buffer[]>();
    for (;;) {
      const next = this.#waiting[this.#head];
      if (next === undefined || next.dueMs > nowMs) break;
      this.#head += 1;
      this.#bytes -= next.frame.length;
      const list = out.get(next.port);
      if (list === undefined) out.set(next.port, [next.frame]);
      else list.push(next.frame);
    }
    if (this.#head > 1024 || this.#head === this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return out;
  }

  /** When the next frame is due, or undefined when none waits. */
  get nextDueMs(): number | undefined {
    return this.#waiting[this.#head]?.dueMs;
  }
}

import type { HostLoad } from '../../protocol/public/hosts/load.ts';
import { HostLooks } from './guest-looks.ts';

/** Measures of a sample in this order. Shares, bytes and bytes/s. */
export const MEASURES = [
  'processorUsed',
  'processorSteal',
  'pressureProcessor',
  'pressureMemory',
  'pressureIo',
  'memoryAvailableBytes',
  'networkInBytesPerS',
  'networkOutBytesPerS',
  'diskReadBytesPerS',
  'diskWriteBytesPerS',
] as const;
export type Measure = (typeof MEASURES)[number];
const WIDTH = MEASURES.length;

export type Span = 'sample' | 'minute' | 'hour';
const SPAN_MS = { minute: 60_000, hour: 3_600_000 } as const;
/** Per host: 10 minutes. Roll-ups stay in memory until they are written. */
const SAMPLES_KEPT = 64;

export interface Point {
  /** Start, or arrival of a sample, ms since 1970 by the controller's clock. */
  readonly atMs: number;
  readonly count: number;
  readonly mean: readonly number[];
  readonly most: readonly number[];
}

export interface RollupPoint {
  readonly span: 'minute' | 'hour';
  readonly point: Point;
}

/** A ring of fixed size: a host's cost does not grow. */
class Ring {
  readonly #values: Float32Array;
  readonly #times: Float64Array;
  #next = 0;

  constructor(size: number, width: number) {
    this.#values = new Float32Array(size * width);
    this.#times = new Float64Array(size);
  }

  add(atMs: number, values: ArrayLike<number>): void {
    const size = this.#times.length;
    const at = this.#next % size;
    this.#times[at] = atMs;
    this.#values.set(values, at * values.length);
    this.#next += 1;
  }

  points(width: number): { atMs: number; values: Float32Array }[] {
    const size = this.#times.length;
    const first = Math.max(0, this.#next - size);
    return Array.from({ length: this.#next - first }, (_none, index) => {
      const at = (first + index) % size;
      return {
        atMs: this.#times[at] ?? 0,
        values: this.#values.subarray(at * width, (at + 1) * width),
      };
    });
  }
}

class Sum {
  readonly span: 'minute' | 'hour';
  begunMs = 0;
  count = 0;
  readonly #sum = new Float64Array(WIDTH);
  readonly #most = new Float64Array(WIDTH);

  constructor(span: 'minute' | 'hour') {
    this.span = span;
  }

  add(atMs: number, values: readonly number[]): void {
    if (this.count === 0) {
      this.begunMs = Math.floor(atMs / SPAN_MS[this.span]) * SPAN_MS[this.span];
      this.#most.fill(0);
      this.#sum.fill(0);
    }
    this.count += 1;
    for (let at = 0; at < WIDTH; at += 1) {
      const value = values[at] ?? 0;
      this.#sum[at] = (this.#sum[at] ?? 0) + value;
      this.#most[at] = Math.max(this.#most[at] ?? 0, value);
    }
  }

  isOver(atMs: number): boolean {
    return (
      this.count > 0 && Math.floor(atMs / SPAN_MS[this.span]) * SPAN_MS[this.span] !== this.begunMs
    );
  }

  taken(): { atMs: number; count: number; values: Float64Array } {
    const values = new Float64Array(2 * WIDTH);
    for (let at = 0; at < WIDTH; at += 1) {
      values[at] = (this.#sum[at] ?? 0) / Math.max(1, this.count);
      values[WIDTH + at] = this.#most[at] ?? 0;
    }
    const { begunMs: atMs, count } = this;
    this.count = 0;
    return { atMs, count, values };
  }
}

export class HostSamples {
  readonly #samples = new Ring(SAMPLES_KEPT, WIDTH);
  readonly #sums = [new Sum('minute'), new Sum('hour')];
  #unwritten: RollupPoint[] = [];
  #newest: HostLoad | undefined;
  readonly looks: HostLooks;
  received = 0;

  constructor(lookMs?: number) {
    this.looks = new HostLooks(lookMs);
  }

  get newest(): HostLoad | undefined {
    return this.#newest;
  }

  add(atMs: number, load: HostLoad, sizeOf?: (guest: string) => number | undefined): void {
    const values = valuesOf(load);
    this.#newest = load;
    this.looks.add(atMs, load, sizeOf);
    this.received += 1;
    this.#roll(atMs);
    this.#samples.add(atMs, values);
    for (const sum of this.#sums) sum.add(atMs, values);
  }

  unwritten(nowMs: number): readonly RollupPoint[] {
    this.#roll(nowMs);
    return this.#unwritten;
  }

  /** No more samples come: closes the partial minute and hour. */
  end(): void {
    this.#take(this.#sums.filter(({ count }) => count > 0));
  }

  written(rolled: RollupPoint): void {
    this.#unwritten = this.#unwritten.filter((each) => each !== rolled);
  }

  #roll(nowMs: number): void {
    this.#take(this.#sums.filter((each) => each.isOver(nowMs)));
  }

  #take(sums: readonly Sum[]): void {
    for (const sum of sums) {
      const { atMs, count, values } = sum.taken();
      this.#unwritten.push({ span: sum.span, point: pointOf(atMs, count, values) });
    }
    const surplus = this.#unwritten.length - MAX_UNWRITTEN;
    if (surplus > 0) this.#unwritten.splice(0, surplus);
  }

  /** Oldest first; for minutes and hours only unwritten ones. */
  points(span: Span): Point[] {
    if (span === 'sample') {
      return this.#samples.points(WIDTH).map(({ atMs, values }) => {
        return { atMs, count: 1, mean: [...values], most: [...values] };
      });
    }
    return this.#unwritten.filter((each) => each.span === span).map(({ point }) => point);
  }
}

/** The oldest are dropped if the database fails for long. */
const MAX_UNWRITTEN = 130;

function pointOf(atMs: number, count: number, values: Float64Array): Point {
  return { atMs, count, mean: [...values.subarray(0, WIDTH)], most: [...values.subarray(WIDTH)] };
}

/** A pressure that the kernel does not report counts as 0 here; the newest sample shows the difference. */
function valuesOf({ processor, pressure, memory, network, disk }: HostLoad): number[] {
  return [
    processor.used,
    processor.steal,
    pressure?.processor ?? 0,
    pressure?.memorySome ?? 0,
    pressure?.ioSome ?? 0,
    memory.availableBytes,
    network.inBytesPerS,
    network.outBytesPerS,
    disk.readBytesPerS,
    disk.writeBytesPerS,
  ];
}

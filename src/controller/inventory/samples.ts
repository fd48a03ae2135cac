import type { HostLoad } from '../../protocol/public/hosts/load.ts';
import { HostLooks } from './guest-looks.ts';

/** What is kept of a sample, in this order. Shares, bytes and bytes/s. */
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
/** Of each host: 10 minutes of samples. What they came to is in the database, and here until it is written. */
const SAMPLES_KEPT = 64;

/** One sample, or what samples of a time came to: the mean and the most of each measure. */
export interface Point {
  /** The beginning of that time, ms since 1970 by the controller's clock; of a sample, when it came. */
  readonly atMs: number;
  /** How many samples. */
  readonly count: number;
  readonly mean: readonly number[];
  readonly most: readonly number[];
}

export interface RollupPoint {
  readonly span: 'minute' | 'hour';
  readonly point: Point;
}

/** Points in a ring of fixed size: a host costs the same however long it is followed. */
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

  /** Oldest first. */
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

/** Samples of one minute or one hour so far. */
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

  /** Mean and most of each, and begins anew. */
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

/** The samples of one host, in memory. */
export class HostSamples {
  readonly #samples = new Ring(SAMPLES_KEPT, WIDTH);
  readonly #sums = [new Sum('minute'), new Sum('hour')];
  #unwritten: RollupPoint[] = [];
  #newest: HostLoad | undefined;
  /** What its guests used. */
  readonly looks: HostLooks;
  received = 0;

  constructor(lookMs?: number) {
    this.looks = new HostLooks(lookMs);
  }

  get newest(): HostLoad | undefined {
    return this.#newest;
  }

  /** `sizeOf`: the processors of one of its guests, where that is known. */
  add(atMs: number, load: HostLoad, sizeOf?: (guest: string) => number | undefined): void {
    const values = valuesOf(load);
    this.#newest = load;
    this.looks.add(atMs, load, sizeOf);
    this.received += 1;
    this.#roll(atMs);
    this.#samples.add(atMs, values);
    for (const sum of this.#sums) sum.add(atMs, values);
  }

  /** Roll-ups to be written down. They stay here, to be read and to be written again, until they are. */
  unwritten(nowMs: number): readonly RollupPoint[] {
    this.#roll(nowMs);
    return this.#unwritten;
  }

  /** No more samples come: what there is of a minute and an hour is to be written too. */
  end(): void {
    this.#take(this.#sums.filter(({ count }) => count > 0));
  }

  /** This one is in the database. */
  written(rolled: RollupPoint): void {
    this.#unwritten = this.#unwritten.filter((each) => each !== rolled);
  }

  /** What is over by now becomes a point. */
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

  /** Oldest first; of minutes and hours those that are not written yet. */
  points(span: Span): Point[] {
    if (span === 'sample') {
      return this.#samples.points(WIDTH).map(({ atMs, values }) => {
        return { atMs, count: 1, mean: [...values], most: [...values] };
      });
    }
    return this.#unwritten.filter((each) => each.span === span).map(({ point }) => point);
  }
}

/** Where the database does not answer for long, the oldest go. */
const MAX_UNWRITTEN = 130;

function pointOf(atMs: number, count: number, values: Float64Array): Point {
  return { atMs, count, mean: [...values.subarray(0, WIDTH)], most: [...values.subarray(WIDTH)] };
}

/** A resource whose pressure a kernel does not report counts as not waited for here; the newest sample says so. */
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

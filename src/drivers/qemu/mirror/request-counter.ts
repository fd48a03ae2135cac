import { z } from 'zod';
import type { Histogram, RequestCounts } from '../../../migration/report/latencies.ts';
import type { RequestCounter } from '../../../port/disks.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { LiveNodes } from './live-nodes.ts';

/** 4 µs to 34 s, each about an eighth above the last. These numbers identify Godwit's histogram. */
const BOUNDARIES_NS = Array.from({ length: 139 }, (_, step) => Math.round(4000 * 2 ** (step / 6)));

const number = z.number().int().nonnegative();
const histogram = z
  .object({ boundaries: z.array(number).max(65_536), bins: z.array(number).max(65_537) })
  .optional();
const stats = z
  .array(
    z.object({
      'node-name': z.string().max(1024).optional(),
      qdev: z.string().max(4096).optional(),
      stats: z.object({
        rd_latency_histogram: histogram,
        wr_latency_histogram: histogram,
        flush_latency_histogram: histogram,
      }),
    }),
  )
  .max(16_384);
type Device = z.infer<typeof stats>[number];

const HISTOGRAMS = {
  reads: 'rd_latency_histogram',
  writes: 'wr_latency_histogram',
  flushes: 'flush_latency_histogram',
} as const;
type Kind = keyof typeof HISTOGRAMS;
const KINDS = ['reads', 'writes', 'flushes'] as const satisfies readonly Kind[];
type Counts = Partial<Readonly<Record<Kind, Histogram>>>;

/** Counts the latencies of the guest's requests with QEMU's histograms. A foreign histogram is read and kept. */
export class QemuRequestCounter implements RequestCounter {
  readonly #client: QmpClient;
  readonly #liveNodes: LiveNodes;
  #devices: ReadonlyMap<string, string> | undefined;
  readonly #others = new Map<string, Counts>();

  constructor(client: QmpClient, liveNodes: LiveNodes) {
    this.#client = client;
    this.#liveNodes = liveNodes;
  }

  async begin(nodes: readonly string[], signal: AbortSignal): Promise<void> {
    // QEMU (at least 7.2 to 10.0) replaces a histogram without the lock under which iothreads count into it.
    const threads = await this.#client.query('query-iothreads', {}, z.array(z.unknown()), signal);
    if (threads.length > 0) return;
    for (const { id, counts } of await this.#look(nodes, signal)) {
      if (areOthers(counts)) this.#others.set(id, counts);
      else await this.#set({ id, boundaries: BOUNDARIES_NS }, signal);
    }
  }

  async read(nodes: readonly string[], signal: AbortSignal): Promise<RequestCounts[]> {
    const found = await this.#look(nodes, signal);
    return found.flatMap(({ node, id, counts }) => {
      const known = areOthers(counts) ? since(this.#others.get(id) ?? {}, counts) : counts;
      return KINDS.some((kind) => known[kind] !== undefined) ? [{ node, ...known }] : [];
    });
  }

  async end(signal: AbortSignal): Promise<void> {
    for (const device of await this.#stats(signal)) {
      const counts = countsOf(device);
      const areOurs = KINDS.some((kind) => counts[kind] !== undefined) && !areOthers(counts);
      if (areOurs && device.qdev !== undefined) await this.#set({ id: device.qdev }, signal);
    }
  }

  async #set(args: { id: string; boundaries?: number[] }, signal: AbortSignal): Promise<void> {
    await this.#client.request('block-latency-histogram-set', args, signal);
  }

  async #stats(signal: AbortSignal): Promise<Device[]> {
    return this.#client.query('query-blockstats', {}, stats, signal);
  }

  async #look(
    nodes: readonly string[],
    signal: AbortSignal,
  ): Promise<{ node: string; id: string; counts: Counts }[]> {
    const seen = await this.#stats(signal);
    this.#devices ??= devicesOf(await this.#liveNodes(signal), seen);
    return nodes.flatMap((node) => {
      const id = this.#devices?.get(node);
      const device = seen.find(({ qdev }) => qdev === id);
      return id === undefined || device === undefined
        ? []
        : [{ node, id, counts: countsOf(device) }];
    });
  }
}

/** QEMU names the node below a copy's filter, so a disk is found during its copy, too. */
function devicesOf(
  live: ReadonlyMap<string, string>,
  seen: readonly Device[],
): ReadonlyMap<string, string> {
  const byNode = new Map(seen.map((device) => [device['node-name'], device.qdev]));
  return new Map(
    [...live].flatMap(([node, name]): [string, string][] => {
      const id = byNode.get(name);
      return id === undefined ? [] : [[node, id]];
    }),
  );
}

function countsOf({ stats: found }: Device): Counts {
  return ofKinds((kind) => found[HISTOGRAMS[kind]]);
}

function ofKinds(find: (kind: Kind) => Histogram | undefined): Counts {
  const found = KINDS.map((kind) => [kind, find(kind)] as const);
  return Object.fromEntries(found.filter(([, each]) => each !== undefined));
}

function areOthers(counts: Counts): boolean {
  return KINDS.some((kind) => {
    const { boundaries = BOUNDARIES_NS } = counts[kind] ?? {};
    return !areEqual(boundaries, BOUNDARIES_NS);
  });
}

function since(before: Counts, now: Counts): Counts {
  return ofKinds((kind) => {
    const [from, to] = [before[kind], now[kind]];
    if (from === undefined || to === undefined) return undefined;
    if (!areEqual(from.boundaries, to.boundaries)) return undefined;
    const bins = to.bins.map((bin, index) => bin - (from.bins[index] ?? 0));
    return bins.some((bin) => bin < 0) ? undefined : { boundaries: to.boundaries, bins };
  });
}

function areEqual(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((each, index) => each === right[index]);
}

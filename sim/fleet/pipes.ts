/**
 * Links that streams share, for the fleet's simulator: every stream grows by its weight until a pipe on its way is full.
 * It is written apart from the planner's model of links on purpose, so that a plan is judged by another's arithmetic.
 */

export interface Stream {
  readonly pipes: readonly string[];
  /** How much of a full pipe it takes beside others: streams are not fair. */
  readonly weight: number;
  /** bytes/s that its own host can send. */
  readonly ceiling: number;
}

/** bytes/s of each stream, in the order of `streams`. */
export function ratesOf(
  streams: readonly Stream[],
  carries: ReadonlyMap<string, number>,
): number[] {
  const rates = streams.map(() => 0);
  const growing = new Set(streams.keys());
  const room = new Map(carries);
  while (growing.size > 0) {
    const pull = new Map<string, number>();
    for (const place of growing) {
      const stream = streams[place];
      for (const pipe of stream?.pipes ?? []) {
        pull.set(pipe, (pull.get(pipe) ?? 0) + (stream?.weight ?? 0));
      }
    }
    // How far all of them can grow together, per unit of weight.
    let growth = Infinity;
    for (const [pipe, weight] of pull) growth = Math.min(growth, (room.get(pipe) ?? 0) / weight);
    for (const place of growing) {
      const stream = streams[place];
      if (stream === undefined) continue;
      growth = Math.min(growth, (stream.ceiling - (rates[place] ?? 0)) / stream.weight);
    }
    growth = Math.max(0, growth);
    for (const place of growing) {
      rates[place] = (rates[place] ?? 0) + growth * (streams[place]?.weight ?? 0);
    }
    for (const [pipe, weight] of pull) room.set(pipe, (room.get(pipe) ?? 0) - growth * weight);
    const before = growing.size;
    for (const place of growing) {
      const stream = streams[place];
      const full = stream?.pipes.some((pipe) => (room.get(pipe) ?? 0) <= 1) ?? true;
      if (full || (rates[place] ?? 0) >= (stream?.ceiling ?? 0) - 1) growing.delete(place);
    }
    if (growing.size === before) break;
  }
  return rates;
}

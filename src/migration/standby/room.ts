/** How hosts share the room for descriptions at a standby host: in bytes, so that no few hosts take it all. Pure. */

export interface Room {
  /** Of one host, and of all, bytes. */
  readonly maxBytesOfOne: number;
  readonly maxBytes: number;
}

export type RoomJudgement =
  /** `victims`: hosts that each lose their latest description, in this order. */
  | { readonly kind: 'room'; readonly victims: readonly string[] }
  | { readonly kind: 'none'; readonly whose: 'one' | 'all'; readonly limit: number };

/**
 * Whether a host's descriptions may come to `own` bytes. `others`: the sizes of the other hosts' descriptions, the latest last.
 * If all is full, a host with less than its share takes the places of the host that has the most.
 */
export function judgeRoom(
  own: number,
  others: ReadonlyMap<string, readonly number[]>,
  { maxBytesOfOne, maxBytes }: Room,
): RoomJudgement {
  if (own > maxBytesOfOne) return { kind: 'none', whose: 'one', limit: maxBytesOfOne };
  const left = new Map([...others].map(([host, sizes]) => [host, [...sizes]]));
  const sumOf = (host: string): number =>
    (left.get(host) ?? []).reduce((sum, each) => sum + each, 0);
  const share = maxBytes / (others.size + 1);
  const victims: string[] = [];
  while (own + [...left.keys()].reduce((sum, host) => sum + sumOf(host), 0) > maxBytes) {
    if (own > share) return { kind: 'none', whose: 'all', limit: maxBytes };
    const [largest = ''] = [...left.keys()].toSorted((one, other) => sumOf(other) - sumOf(one));
    if (left.get(largest)?.pop() === undefined) break;
    victims.push(largest);
  }
  return { kind: 'room', victims };
}

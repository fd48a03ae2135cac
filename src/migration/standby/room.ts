/** Shares a standby host's room for descriptions between hosts, in bytes. Pure. */

export interface Room {
  /** Limits per host and in total, bytes. */
  readonly maxBytesOfOne: number;
  readonly maxBytes: number;
}

export type RoomJudgement =
  /** `victims`: hosts that each lose their latest description, in order. */
  | { readonly kind: 'room'; readonly victims: readonly string[] }
  | { readonly kind: 'none'; readonly whose: 'one' | 'all'; readonly limit: number };

/**
 * Decides whether a host's descriptions may grow to `own` bytes. `others`: sizes of other hosts' descriptions, latest
 * last. If the room is full, a host below its share displaces the largest user.
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

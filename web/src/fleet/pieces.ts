import type {
  Overview,
  OverviewGuest,
  OverviewHost,
} from '../../../src/protocol/controller/overview.ts';

/** Some hosts of an overview, each with its guests. */
export type Piece = readonly (readonly [host: OverviewHost, guests: readonly OverviewGuest[]])[];

/** Takes a page a few milliseconds. */
const HOSTS_OF_A_PIECE = 250;

/** All hosts of an overview, some at a time. Pure. */
export function* piecesOf({ hosts, guests }: Overview): Generator<Piece> {
  const lists: OverviewGuest[][] = hosts.map(() => []);
  for (const guest of guests) lists[guest[1]]?.push(guest);
  for (let from = 0; from < hosts.length; from += HOSTS_OF_A_PIECE)
    yield hosts
      .slice(from, from + HOSTS_OF_A_PIECE)
      .map((host, at) => [host, lists[from + at] ?? []] as const);
}

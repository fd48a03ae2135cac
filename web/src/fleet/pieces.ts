import type {
  Overview,
  OverviewGuest,
  OverviewHost,
} from '../../../src/protocol/controller/overview.ts';

/** Some hosts of an overview, each with its guests. */
export interface Piece {
  /** The newest event that the overview has. */
  readonly after: string | undefined;
  readonly hosts: readonly (readonly [host: OverviewHost, guests: readonly OverviewGuest[]])[];
}

/** Takes a page a few milliseconds. */
const HOSTS_OF_A_PIECE = 250;

/** All hosts of an overview, some at a time. Pure. */
export function* piecesOf({ after, hosts: all, guests }: Overview): Generator<Piece> {
  const lists: OverviewGuest[][] = all.map(() => []);
  for (const guest of guests) lists[guest[1]]?.push(guest);
  for (let from = 0; from < all.length; from += HOSTS_OF_A_PIECE) {
    const some = all.slice(from, from + HOSTS_OF_A_PIECE);
    yield { after, hosts: some.map((host, at) => [host, lists[from + at] ?? []] as const) };
  }
}

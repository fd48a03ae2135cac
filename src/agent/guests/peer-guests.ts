import { withDeadline } from '../../deadline.ts';
import type { agentContract } from '../../protocol/contract.ts';
import { godwitError } from '../../errors.ts';
import type { MissingGuests } from '../../protocol/public/contract.ts';
import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import { everyPage } from '../../protocol/public/page.ts';
import type { Api, CallOptions } from '../../rpc/client.ts';

const GUESTS_MS = 5000;
/** Deadline for a controller that begins to follow many hosts at once. */
const FOLLOWED_MS = 20_000;
export const MAX_GUESTS = 10_000;
/** Size of all pages together; a guest is about 1 KiB. */
export const GUESTS_BYTES = 16 * 1024 * 1024;
const MAX_SILENT = 16;

export interface PeerGuests {
  readonly guests: GuestInfo[];
  readonly left: GuestInfo[];
  readonly missing: MissingGuests[];
}

/**
 * A bad host delays or fills the caller only up to the bounds above: GODWIT_DEADLINE, GODWIT_TOO_LARGE or
 * GODWIT_PROTOCOL_INVALID beyond.
 */
export async function guestsOfPeer(
  api: Pick<Api<typeof agentContract>, 'guests'>,
  host: string,
  guest: string | undefined,
  { deadlineMs = GUESTS_MS, signal: outer, allowance = { bytes: GUESTS_BYTES } }: CallOptions = {},
): Promise<PeerGuests> {
  const missing = new Map<string, MissingGuests>();
  const gone: GuestInfo[] = [];
  const all = await withDeadline(`the guests of ${host}`, deadlineMs, outer, (signal) =>
    everyPage(async (after) => {
      signal.throwIfAborted();
      const query = { scope: 'local', name: guest, cursor: after } as const;
      const options = { deadlineMs, signal, allowance };
      const page = await api.guests({ query }, options);
      const { guests: items, next, left = [], missing: lacks = [] } = page;
      if (after === undefined) gone.push(...left);
      for (const each of lacks.slice(0, MAX_SILENT - missing.size))
        missing.set(each.why, { ...each, host });
      return next === undefined ? { items } : { items, next };
    }, MAX_GUESTS),
  );
  // A host reports only its own guests; an earlier build ignores `guest` and answers with all of them.
  const guests = all.filter((each) => each.host === host && (guest ?? each.name) === each.name);
  const left = gone.filter((each) => each.host === host);
  return { guests, left, missing: [...missing.values()] };
}

/**
 * All guests of a host, for callers that treat unlisted guests as gone. A silent driver counts with its last list;
 * GODWIT_INCOMPLETE if it has none.
 */
export async function everyGuestOfPeer(
  api: Pick<Api<typeof agentContract>, 'guests'>,
  host: string,
  asked: Pick<CallOptions, 'signal' | 'allowance'>,
): Promise<Pick<PeerGuests, 'guests' | 'left'>> {
  const options = { ...asked, deadlineMs: FOLLOWED_MS };
  const { guests, left, missing } = await guestsOfPeer(api, host, undefined, options);
  const unseen = missing.find(({ asOf }) => asOf === undefined);
  if (unseen === undefined) return { guests, left };
  const facts = { what: `the list of guests of ${host}`, hosts: unseen.why };
  throw godwitError('GODWIT_INCOMPLETE', facts);
}

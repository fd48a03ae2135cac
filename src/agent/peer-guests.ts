import { withDeadline } from '../deadline.ts';
import type { agentContract } from '../protocol/contract.ts';
import type { GuestInfo } from '../protocol/public/host.ts';
import { everyPage } from '../protocol/public/page.ts';
import type { Api } from '../rpc/client.ts';

/** For all pages of one host together: whoever asks for the guests of all hosts waits for the slowest. */
const GUESTS_MS = 5000;
/** Far more than a host runs. */
export const MOST_GUESTS = 10_000;
/** All pages together; a guest is about 1 KiB. */
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * The guests that a host says it has, or those called `guest`. A bad host holds or fills whoever asks no further than
 * the bounds above: GODWIT_DEADLINE, GODWIT_TOO_LARGE or GODWIT_PROTOCOL_INVALID beyond.
 */
export async function guestsOfPeer(
  api: Pick<Api<typeof agentContract>, 'guests'>,
  host: string,
  guest: string | undefined,
): Promise<GuestInfo[]> {
  const allowance = { bytes: MOST_BYTES };
  const all = await withDeadline(`the guests of ${host}`, GUESTS_MS, undefined, (signal) =>
    everyPage(async (after) => {
      signal.throwIfAborted();
      const query = { scope: 'local', name: guest, cursor: after } as const;
      const options = { deadlineMs: GUESTS_MS, signal, allowance };
      const { guests: items, next } = await api.guests({ query }, options);
      return next === undefined ? { items } : { items, next };
    }, MOST_GUESTS),
  );
  // A host speaks for itself; one of an earlier build answers with all of its guests.
  return all.filter((each) => each.host === host && (guest ?? each.name) === each.name);
}

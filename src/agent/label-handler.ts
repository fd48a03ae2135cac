import type { Log } from '../log.ts';
import type { agentContract } from '../protocol/contract.ts';
import type { Handlers } from '../rpc/server.ts';
import type { HostLabels } from './guest-labels.ts';
import { namesIn } from './guest-snapshot.ts';
import type { Guests } from './guests.ts';

export interface LabelHandlerDependencies {
  readonly guests: Guests;
  readonly labels: HostLabels;
  readonly log: Log;
}

export function labelHandler({
  guests,
  labels,
  log,
}: LabelHandlerDependencies): Handlers<Pick<typeof agentContract, 'labelGuest'>> {
  return {
    labelGuest: async ({ params: { guest }, body, caller }) => {
      await guests.need(guest);
      // Labels of absent guests give way: a guest that was started a moment ago counts as present.
      const here = labels.isFull() ? namesIn(await guests.listed()) : undefined;
      const now = labels.change(guest, body, here);
      log.info({ guest, ...body, by: caller.name }, 'a guest was labelled');
      // Whoever follows this host hears of it.
      await guests.listed(true);
      return { labels: now };
    },
  };
}

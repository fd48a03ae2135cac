import { hasCode, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { MAX_EXPECTED_MS } from '../../protocol/peer/arrival.ts';
import { askAgent } from './ask-agent.ts';
import type { HostLooksDependencies } from './host-looks.ts';

const ANSWER_MS = 10_000;

/**
 * Announces a guest to its destination's agent before the manager is ordered to move it. A draining host refuses the
 * guest, and a host that accepted does not report itself empty before its manager lists the guest.
 */
export interface ArrivalNotice {
  /** GODWIT_HOST_CLOSED while a request drains the destination. */
  announce(signal: AbortSignal): Promise<void>;
  /** Call at the migration's end. Never rejects, because an announcement expires by itself. */
  withdraw(): Promise<void>;
}

/** Undefined if the destination has no known agent, or this host no guest. */
export function arrivalNotice({
  config,
  request: asked,
  connect,
  log,
}: HostLooksDependencies & { readonly log: Log }): ArrivalNotice | undefined {
  const { id, peer, fromHost: from, request } = asked;
  if (peer === undefined || from !== config.name) return undefined;
  const params = { id };
  return {
    announce: async (signal) => {
      const body = { guest: request.guest, from, forMs: MAX_EXPECTED_MS };
      try {
        await askAgent(connect, peer, (api) =>
          api.expectArrival({ params, body }, { signal, deadlineMs: ANSWER_MS }),
        );
      } catch (thrown) {
        // An agent of an earlier build only counts guests that its manager lists.
        if (!hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN')) throw thrown;
      }
    },
    withdraw: async () => {
      try {
        const signal = AbortSignal.timeout(ANSWER_MS);
        await askAgent(connect, peer, (api) =>
          api.dropArrival({ params, query: { from } }, { signal, deadlineMs: ANSWER_MS }),
        );
      } catch (thrown) {
        const error = toGodwitError(thrown);
        log.info({ error, host: peer.name }, 'guest announcement not withdrawn');
      }
    },
  };
}

import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { hasCode, toGodwitError } from '../../errors.ts';
import { Fleet } from '../../host/fleet.ts';
import {
  clockDifference,
  probeHosts,
  type ClockDifference,
} from '../../migration/report/probes.ts';
import { peerAgentContract } from '../../protocol/peer/agent-routes.ts';
import type { WatchEnd, WatchOrder, WatchResult } from '../../protocol/peer/probe.ts';
import type { Client } from '../../rpc/client.ts';
import type { Connect } from './surroundings.ts';

/** Lifetime of a watch that is not renewed, ms. */
export const LEASE_MS = 10_000;
export const RENEW_MS = 3000;
const ANSWER_MS = 3000;

type Agent = Client<typeof peerAgentContract>;
export interface WatchingHost {
  readonly host: string;
  readonly agent: Agent;
  why: string | undefined;
  clock: ClockDifference | undefined;
}

/** Hosts named in the configuration, or peers on neither end. */
export function watchingHosts(
  config: AgentConfig,
  ends: readonly string[],
  connect: Connect,
): WatchingHost[] {
  const { probe } = config.network;
  if (probe === 'off') return [];
  const peers = new Fleet(config).peers();
  return probeHosts(probe.hosts, Object.keys(peers), ends).flatMap((host) => {
    const address = host === config.name ? config.address : peers[host]?.address;
    if (address === undefined) return [];
    const agent = connect(peerAgentContract, host, address);
    return [{ host, agent, why: undefined, clock: undefined }];
  });
}

export async function askToWatch(
  place: WatchingHost,
  order: WatchOrder,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  try {
    const options = { signal, deadlineMs: ANSWER_MS };
    const asked = clock.wallMs();
    const { watching, why, wallMs } = await place.agent.api.watch({ body: order }, options);
    if (wallMs !== undefined)
      place.clock = clockDifference(place.clock, asked, wallMs, clock.wallMs());
    place.why = watching ? undefined : (why ?? 'it does not want to');
  } catch (thrown) {
    signal.throwIfAborted();
    place.why = wordsFor(thrown);
  }
}

/** Observations of the host, or the reason for none. Never rejects. */
export async function endWatchOf(
  place: WatchingHost,
  id: string,
  body: WatchEnd,
  deadlineMs: number,
): Promise<WatchResult> {
  if (place.why !== undefined) return { notTried: place.why };
  try {
    return await place.agent.api.endWatch({ params: { id }, body }, { deadlineMs });
  } catch (thrown) {
    return { notTried: wordsFor(thrown) };
  }
}

function wordsFor(thrown: unknown): string {
  if (hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN'))
    return 'its agent is of a build that knows nothing of it';
  return toGodwitError(thrown).message.slice(0, 1024);
}

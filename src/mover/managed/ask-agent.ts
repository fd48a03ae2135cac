import { hasCode } from '../../errors.ts';
import type { peerAgentContract } from '../../protocol/peer/agent-routes.ts';
import type { ManagedMoverRequest } from '../../protocol/mover/request.ts';
import type { Api } from '../../rpc/client.ts';
import { NetworkPath } from '../shared/network-path.ts';
import type { Connect } from '../shared/surroundings.ts';

export interface RoutedAnswer<T> {
  readonly answer: T;
  /** Maps an address that the agent reports to a reachable one; its other addresses. */
  readonly route: (stated: string) => string;
  readonly spare: (stated: string) => string[];
}

/** Asks the destination's agent at the first address that answers. */
export async function askAgent<T>(
  connect: Connect,
  peer: NonNullable<ManagedMoverRequest['peer']>,
  question: (api: Api<typeof peerAgentContract>) => Promise<T>,
): Promise<RoutedAnswer<T>> {
  const all = [peer.address, ...(peer.addresses ?? [])];
  const paths = all.map((each, index) => new NetworkPath(peer.name, each, index === 0, connect));
  let last: unknown;
  for (const path of paths) {
    try {
      const answer = await question(path.agent());
      const others = paths.filter((each) => each !== path);
      return {
        answer,
        route: (stated) => path.route(stated),
        spare: (stated) => others.map((each) => each.route(stated)),
      };
    } catch (thrown) {
      last = thrown;
      if (!hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')) throw thrown;
    } finally {
      path.reset();
    }
  }
  throw last;
}

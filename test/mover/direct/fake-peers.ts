import { silentLog } from '../../../src/log.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { peerContract } from '../../../src/protocol/peer/contract.ts';
import { PROTOCOL_VERSIONS } from '../../../src/protocol/version.ts';
import { listenTls, type Listening } from '../../../src/rpc/listen.ts';
import { serve, type Handlers } from '../../../src/rpc/server.ts';
import type { Credentials } from '../../../src/rpc/tls.ts';

/** Servers that stand in for a host's agent and for a destination's mover. */

const hello = (): { name: string; product: string; versions: number[] } => ({
  name: 'b',
  product: 'godwit 0',
  versions: [...PROTOCOL_VERSIONS],
});

type AgentHandlers = Handlers<typeof agentContract>;
type PeerHandlers = Handlers<typeof peerContract>;

function unasked(): never {
  throw new Error('nobody was to ask this');
}

export function handlersOf<H>(contract: object, given: Partial<H>): H {
  const none = Object.fromEntries(Object.keys(contract).map((key) => [key, unasked]));
  return { ...none, hello, ...given } as H;
}

/** An agent that only admits, and reports where its movers listen. */
export function serveAgent(
  credentials: Credentials,
  given: Pick<AgentHandlers, 'admit' | 'incoming'>,
  address = '127.0.0.1:0',
): Promise<Listening> {
  const handlers = handlersOf<AgentHandlers>(agentContract, given);
  const listener = serve(agentContract, handlers, { name: 'b', log: silentLog });
  return listenTls(listener, { address }, credentials, { log: silentLog });
}

/** A destination's mover that answers as scripted. */
export function servePeer(
  credentials: Credentials,
  given: Partial<PeerHandlers>,
): Promise<Listening> {
  const handlers = handlersOf<PeerHandlers>(peerContract, given);
  const listener = serve(peerContract, handlers, { name: 'b', log: silentLog });
  return listenTls(listener, { address: '127.0.0.1:0' }, credentials, { log: silentLog });
}

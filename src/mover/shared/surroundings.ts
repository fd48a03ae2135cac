import { systemClock, type Clock } from '../../clock.ts';
import { hostsOf, type AgentConfig } from '../../config.ts';
import { godwitError, hasCode } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { HostFacts } from '../../protocol/peer/host-facts.ts';
import { rendezvousOf } from '../../protocol/relay.ts';
import type { Contract } from '../../protocol/route.ts';
import type { Caller } from '../../rpc/caller.ts';
import { client, type Client } from '../../rpc/client.ts';
import { listenTls, type Listening } from '../../rpc/listen.ts';
import { serve, type Handlers } from '../../rpc/server.ts';
import { reachHost } from '../../host/machine/host-kernel.ts';
import { askKernel, type AskKernel, type Reach } from '../../rpc/reach.ts';
import { isWaiting } from '../../rpc/relayed/call.ts';
import type { Credentials } from '../../rpc/tls.ts';
import { hostCredentials } from '../../host/credentials.ts';
import { fenceOf, type Fence } from '../../host/fencing.ts';
import { Fleet } from '../../host/fleet.ts';
import { hostFactsOf } from '../../host/machine/host-facts.ts';
import { processorLoad } from '../../host/machine/processor-load.ts';
import { lookAtPath, type LookAtPath } from '../../host/machine/path-look.ts';
import { removeTree } from '../../system/files/remove-tree.ts';
import { queuedBytes, type QueuedBytes } from '../../host/machine/socket-queue.ts';
import { openJournalFile, type OpenJournalFile } from '../../system/journal-file.ts';
import { bootTime } from '../../system/processes/process.ts';
import type { BootTime } from '../../migration/boot-time.ts';
import { wireOpeners, type WireOpeners } from './wire-openers.ts';

export type Connect = <C extends Contract>(contract: C, name: string, address: string) => Client<C>;

/** Serves the other host's mover on a free port, for callers that `authorise` accepts. */
export type Listen = <C extends Contract>(
  contract: C,
  handlers: Handlers<C>,
  authorise: (caller: Caller) => void,
) => Promise<Listening>;

/** A mover's access to its host, apart from the hypervisor. Simulations replace it. */
export interface Surroundings {
  readonly clock: Clock;
  readonly log: Log;
  readonly pid: number;
  readonly bootTime: () => BootTime;
  readonly openFile: OpenJournalFile;
  /** Removes a guest's directory with everything that its hypervisor has made there. */
  readonly removeTree: (directory: string) => Promise<void>;
  readonly hostFacts: () => Promise<HostFacts>;
  /** Absent: predictions ignore load, so that simulations are repeatable. */
  readonly processorLoad?: typeof processorLoad;
  readonly connect: Connect;
  readonly lookAtPath?: LookAtPath;
  readonly queuedBytes?: QueuedBytes;
  /** Absent: no path counts as dead. */
  readonly reach?: Reach;
  /** Absent: no port counts as closed. */
  readonly askKernel?: AskKernel;
  readonly listen: Listen;
  /** Absent: no host can be proved off. */
  readonly fence?: Fence | undefined;
  /** Absent: no other host of the fleet is known. */
  readonly peers?: Fleet['peers'];
  /** Absent: no wire. */
  readonly wire?: WireOpeners;
}

/** Handshake with a relay and its answer, over a link of 200 ms. */
const RELAYED_MS = 3000;

export function surroundingsOf(config: AgentConfig, log: Log): Surroundings {
  const { name, ports } = config;
  const fleet = new Fleet(config);
  let read: Credentials | undefined;
  const credentials = (): Credentials => (read ??= hostCredentials(config, fleet));
  return {
    clock: systemClock,
    log,
    pid: process.pid,
    bootTime,
    openFile: openJournalFile,
    removeTree,
    hostFacts: hostFactsOf(config, systemClock),
    processorLoad,
    connect: (contract, expectedName, address) =>
      client(contract, { address, credentials: credentials(), expectedName }),
    lookAtPath,
    queuedBytes,
    // A kernel behind a relay cannot be asked; the relay knows whether its host is connected.
    reach: (address, timeoutMs, signal) =>
      rendezvousOf(address) === undefined
        ? reachHost(address, timeoutMs, signal)
        : isWaiting(address, credentials(), Math.max(timeoutMs, RELAYED_MS), signal),
    askKernel,
    fence: fenceOf(config, fleet),
    peers: () => fleet.peers(),
    wire: wireOpeners,
    listen: async (contract, handlers, authorise) => {
      const listener = serve(contract, handlers, { name, log, authorise });
      const [host = '', ...furtherHosts] = hostsOf(config);
      const where = { host, ports, furtherHosts };
      try {
        return await listenTls(listener, where, credentials(), { log });
      } catch (thrown) {
        if (!hasCode(thrown, 'GODWIT_PORT_NONE')) throw thrown;
        throw godwitError('GODWIT_PORT_NONE', { host: name, ...ports });
      }
    },
  };
}

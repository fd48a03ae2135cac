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

/** A path to the host `name` at `address`; connections are opened when needed. */
export type Connect = <C extends Contract>(contract: C, name: string, address: string) => Client<C>;

/** Serves the other host's mover on a free port of this host, to the callers that `authorise` does not refuse. */
export type Listen = <C extends Contract>(
  contract: C,
  handlers: Handlers<C>,
  authorise: (caller: Caller) => void,
) => Promise<Listening>;

/** What a mover has of its host besides the hypervisor. A simulation gives its own. */
export interface Surroundings {
  readonly clock: Clock;
  readonly log: Log;
  readonly pid: number;
  /** Now, by the clock that counts since this host was started. */
  readonly bootTime: () => BootTime;
  readonly openFile: OpenJournalFile;
  /** Removes a directory of a guest's, of which its hypervisor may have made anything. */
  readonly removeTree: (directory: string) => Promise<void>;
  /** What this host reports to the other one of itself now. */
  readonly hostFacts: () => Promise<HostFacts>;
  /** Absent: how busy hosts are is left out of predictions, so that a run of a simulation gives the same again. */
  readonly processorLoad?: typeof processorLoad;
  readonly connect: Connect;
  /** Absent: nothing is seen of the path to another host. */
  readonly lookAtPath?: LookAtPath;
  /** Absent: nothing is seen of what waits for the link. */
  readonly queuedBytes?: QueuedBytes;
  /** Absent: no path to another host is ever taken for dead. */
  readonly reach?: Reach;
  /** Absent: no port of another host is ever taken for shut. */
  readonly askKernel?: AskKernel;
  readonly listen: Listen;
  /** Absent: nothing can prove that another host is off. */
  readonly fence?: Fence | undefined;
  /** The other hosts of the fleet; absent: none is known. */
  readonly peers?: Fleet['peers'];
  /** Absent: memory goes natively alone. */
  readonly wire?: WireOpeners;
}

/** To shake hands with a relay and be answered, over a link of 200 ms. */
const RELAYED_MS = 3000;

/** This process on this host. */
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
    // A kernel behind a relay cannot be asked; whether its host waits there can.
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

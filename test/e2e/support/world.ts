/** A lab with agents for one test file: its APIs, what its hosts hold, and its end, whatever happened before. */
import { labDown } from '../../../lab/down.ts';
import { labHost, type Lab } from '../../../lab/state.ts';
import { labUp, type LabRequest } from '../../../lab/up.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { client, type Api, type Client } from '../../../src/rpc/client.ts';
import { hostsNow, type HostRemains } from './remains.ts';
import { until } from '../../until.ts';

/** How large a guest is whose size does not matter. */
export const SMALL_GUEST = {
  memoryBytes: 192 * 1024 ** 2,
  workingSetBytes: 8 * 1024 ** 2,
} as const;

export type AgentApi = Api<typeof agentContract>;

export interface World {
  readonly lab: Lab;
  /** The hosts before there was any guest. */
  readonly bare: readonly HostRemains[];
  /** The API of a host's agent, over its unix socket. */
  agent(host: string): AgentApi;
  /** To be called at the end, also after a failure: closes connections and takes the lab down. */
  close(): Promise<void>;
}

/** As long as the CLI waits for what takes longest: a machine that runs two labs is slow. */
const ANSWER_MS = 120_000;

/** Labs of this process that are up. */
const open = new Set<string>();

/** A file that takes too long, or that somebody stops, is told so by its runner: no lab outlives it. */
process.once('SIGTERM', () => {
  const downs = [...open].map((name) => labDown(name).catch(() => undefined));
  void Promise.all(downs).then(() => process.exit(143));
});

/** Builds a lab of its own for this process; `tag` (up to 6 letters) tells labs of test files apart. */
export async function openWorld(tag: string, request: Omit<LabRequest, 'name'>): Promise<World> {
  const name = `e2e-${tag}-${process.pid.toString(36)}`;
  open.add(name);
  const lab = await labUp({ ...request, name });
  const clients = new Map<string, Client<typeof agentContract>>();
  const close = async (): Promise<void> => {
    for (const each of clients.values()) each.close();
    await labDown(name);
    open.delete(name);
  };
  const agent = (host: string): AgentApi => {
    let found = clients.get(host);
    if (found === undefined) {
      const unix = labHost(lab, host).agentSocket;
      found = client(
        agentContract,
        { unix, peer: `the agent of ${host}` },
        { deadlineMs: ANSWER_MS },
      );
      clients.set(host, found);
    }
    return found.api;
  };
  try {
    return { lab, bare: await restingHosts(lab), agent, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The hosts once their agents have ended what they do when they start (they compile the mover ahead). */
export async function restingHosts(lab: Lab): Promise<HostRemains[]> {
  const rests = ({ processes }: HostRemains): boolean => {
    return (
      processes.filter((name) => !/^(qemu|ovs|libvirtd|sleep)/.test(name)).join() ===
      'node agent.ts'
    );
  };
  return until('the agents to rest', 20_000, async () => {
    const hosts = await hostsNow(lab);
    return hosts.every(rests) ? hosts : undefined;
  });
}

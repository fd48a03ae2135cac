import { z } from 'zod';
import { address, hostName, splitAddress } from '../protocol/names.ts';
import { relayedName } from '../protocol/relay.ts';

/** What an agent's configuration says of sites and relays; docs/sites.md. */

/** A relay that this host calls, and waits at. */
export const relayPlace = z.strictObject({
  /** As its certificate names it. */
  name: hostName,
  /** host:port; the same for all hosts, or another one for each site. */
  address,
});

interface HostAddresses {
  readonly address: string;
  readonly addresses: readonly string[];
}

/** As much of an agent's configuration as this is about. */
export interface SiteSettings extends HostAddresses {
  readonly name: string;
  readonly relays: readonly z.infer<typeof relayPlace>[];
  readonly peers: Readonly<Record<string, HostAddresses>>;
}

/** A setting, and what is wrong with it. */
export interface SiteProblem {
  readonly setting: readonly string[];
  readonly words: string;
}

/** The first thing that cannot be so of relays and of addresses that lead through them; undefined where all can. Pure. */
export function siteProblem(config: SiteSettings): SiteProblem | undefined {
  const own = [config.address, ...config.addresses].find((each) => isRelayed(each));
  if (own !== undefined)
    return problem(
      ['address'],
      `${own} is no address of this host: it listens on its own network, and waits at each relay by itself`,
    );
  return (
    relayProblem(config) ??
    Object.entries(config.peers)
      .map(([peer, at]) => peerProblem(config, peer, at))
      .find((each) => each !== undefined)
  );
}

function relayProblem({ relays, ...config }: SiteSettings): SiteProblem | undefined {
  const names = relays.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) return problem(['relays'], `${twice} is there twice`);
  for (const { name, address: at } of relays) {
    if (isRelayed(at))
      return problem(['relays'], `${name} is called at ${at}, which leads through a relay: a loop`);
    if ([config.address, ...config.addresses].includes(at))
      return problem(['relays'], `${name} is called at ${at}, where this host’s agent listens`);
    const peer = Object.entries(config.peers).find(([, placed]) => all(placed).includes(at));
    if (peer !== undefined)
      return problem(
        ['relays'],
        `${name} is called at ${at}, which is the address of the host ${peer[0]}`,
      );
  }
  return undefined;
}

function peerProblem(
  { relays }: SiteSettings,
  peer: string,
  placed: HostAddresses,
): SiteProblem | undefined {
  for (const at of all(placed)) {
    const name = relayedName(splitAddress(at).host);
    if (name === undefined) continue;
    if (name !== peer)
      return problem(
        ['peers', peer],
        `${at} leads to ${name}; a relay knows ${peer} as ${peer}.relay`,
      );
    if (relays.length === 0)
      return problem(['peers', peer], `${at} leads through a relay, and \`relays\` names none`);
  }
  return undefined;
}

const all = ({ address: main, addresses }: HostAddresses): string[] => [main, ...addresses];

const isRelayed = (at: string): boolean => relayedName(splitAddress(at).host) !== undefined;

function problem(setting: readonly string[], words: string): SiteProblem {
  return { setting, words };
}

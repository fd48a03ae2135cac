import { z } from 'zod';
import { address, hostName, splitAddress } from '../protocol/names.ts';
import { relayedName } from '../protocol/relay.ts';

/** Sites and relays in an agent's configuration; see docs/sites.md. */

export const relayPlace = z.strictObject({
  name: hostName,
  /** host:port, which may differ between sites. */
  address,
});

interface HostAddresses {
  readonly address: string;
  readonly addresses: readonly string[];
}

export interface SiteSettings extends HostAddresses {
  readonly name: string;
  readonly relays: readonly z.infer<typeof relayPlace>[];
  readonly peers: Readonly<Record<string, HostAddresses>>;
}

export interface SiteProblem {
  readonly setting: readonly string[];
  readonly words: string;
}

/** The first error in relays and relayed addresses. Pure. */
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

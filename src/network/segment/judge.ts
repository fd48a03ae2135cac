import { BlockList, isIPv4 } from 'node:net';
import type { NicNetwork } from '../../protocol/network.ts';
import type { NetworkFacts } from '../facts.ts';
import { isSingle, type Answer } from './frames.ts';

/** Decides whether a segment here is the guest's, from the hosts that answer for its addresses. Pure. */

export interface SegmentQuestion {
  readonly addresses: readonly string[];
  /** This host's gateways on that segment, presumably the guest's too. */
  readonly gateways: readonly string[];
}

/** Addresses asked per NIC; a sample suffices. */
export const MAX_ADDRESSES = 8;
const MAX_GATEWAYS = 4;

export function toAsk(nic: NicNetwork, bridge: string, facts: NetworkFacts): SegmentQuestion {
  const here = facts.neighbours.flatMap(({ lladdr, dst }) =>
    lladdr?.toLowerCase() === nic.mac ? [dst] : [],
  );
  const all = [...new Set([...nic.addresses, ...here])].filter(isSingle);
  const addresses = all.slice(0, MAX_ADDRESSES);
  const near = new BlockList();
  for (const { ifname, addr_info: held } of facts.addresses) {
    if (ifname !== bridge) continue;
    for (const { local, prefixlen } of held)
      near.addSubnet(local, prefixlen, isIPv4(local) ? 'ipv4' : 'ipv6');
  }
  const isNear = (address: string): boolean =>
    near.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
  const gateways = facts.routes.flatMap(({ dst, dev, gateway }) => {
    if (dst !== 'default' || dev !== bridge || gateway === undefined) return [];
    // A gateway of another network on the segment is irrelevant to this guest.
    const family = addresses.filter((address) => isIPv4(address) === isIPv4(gateway));
    return family.some(isNear) ? [gateway] : [];
  });
  return { addresses, gateways: [...new Set(gateways)].slice(0, MAX_GATEWAYS) };
}

export interface Judgement {
  readonly verdict: 'pass' | 'warn' | 'refuse';
  /** Not asked; `what` has the reason. */
  readonly notTried?: true;
  readonly what: string;
}

/** True if further answers cannot change the result. */
export function isSettled(mac: string, asked: SegmentQuestion, heard: readonly Answer[]): boolean {
  const answered = new Set(heard.map(({ address }) => address));
  const own = heard.some((each) => each.mac === mac && asked.addresses.includes(each.address));
  return own && asked.gateways.every((each) => answered.has(each));
}

export function judgeSegment(
  mac: string,
  bridge: string,
  asked: SegmentQuestion,
  heard: readonly Answer[],
): Judgement {
  const stranger = heard.find((each) => asked.addresses.includes(each.address) && each.mac !== mac);
  if (stranger !== undefined) {
    const what = `${stranger.mac} answers for ${stranger.address} on ${bridge}, and the guest’s MAC is ${mac}`;
    return { verdict: 'refuse', what };
  }
  const own = asked.addresses.filter((address) => heard.some((each) => each.address === address));
  if (own.length === 0) {
    const which = asked.addresses.join(', ');
    const what = `nobody on ${bridge} answers for ${which}: it is another segment, or the guest keeps silent`;
    return { verdict: 'warn', what };
  }
  const same = `${own.join(', ')} answers on ${bridge} with its MAC ${mac}`;
  const silent = asked.gateways.find((each) => !heard.some(({ address }) => address === each));
  if (silent !== undefined)
    return { verdict: 'warn', what: `${same}, but its gateway ${silent} does not answer there` };
  const gateways = asked.gateways.map(
    (each) => `${each} is ${heard.find(({ address }) => address === each)?.mac}`,
  );
  const after =
    gateways.length === 0
      ? '; gateway not tried: this host has none there'
      : `; gateway ${gateways.join(', ')}`;
  return { verdict: 'pass', what: same + after };
}

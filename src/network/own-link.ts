import { z } from 'zod';
import { hasCode } from '../errors.ts';
import { ip, listedBy, type Ip } from './ip.ts';

/** Maximum stack of VLANs, bonds and bridges. */
const MAX_LAYERS = 8;

const routes = z.array(
  z.object({ dev: z.string().max(64).optional(), gateway: z.string().max(64).optional() }),
);
const links = z.array(
  z.object({
    ifname: z.string().max(64),
    flags: z.array(z.string().max(32)).max(64),
    /** Lower device of a VLAN or a macvlan. */
    link: z.string().max(64).optional(),
    linkinfo: z.object({ info_kind: z.string().max(32).optional() }).optional(),
  }),
);
type LinkEntry = z.infer<typeof links>[number];
const neighbours = z.array(z.object({ state: z.array(z.string().max(32)).max(16).optional() }));

/**
 * This host's ability to send to an IP address. `missing`: the address is in a local segment, and no host there
 * answers for it.
 */
export type OwnLink =
  | {
      readonly isUp: true;
      readonly missing: boolean;
      /** Device and router; the same for all addresses on the route. */
      readonly route: string;
    }
  | { readonly isUp: false; readonly why: string };

/** Reads the kernel's tables; only rejects with the signal. */
export async function ownLinkTo(
  address: string,
  signal: AbortSignal,
  run: Ip = ip,
): Promise<OwnLink> {
  const ask: Ask = (shape, words) => listedBy(run, shape, words, signal);
  try {
    const [route] = await ask(routes, ['route', 'get', address]);
    if (route?.dev === undefined) return down(`this host has no route to ${address}`);
    const { dev, gateway } = route;
    const dead = await deadLink(dev, MAX_LAYERS, ask);
    if (dead !== undefined) return down(`this host's own link ${dead} is down`);
    return {
      isUp: true,
      missing: gateway === undefined && (await isMissing(address, dev, ask)),
      route: gateway === undefined ? dev : `${dev} by ${gateway}`,
    };
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    if (hasCode(thrown, 'GODWIT_HOST_LACKS')) return down(thrown.message);
    return down(`this host does not know the state of its own link: ${String(thrown)}`);
  }
}

const down = (why: string): OwnLink => ({ isUp: false, why });

/** First device from the top without an outgoing path; undefined if all work. */
async function deadLink(dev: string, layers: number, ask: Ask): Promise<string | undefined> {
  if (layers === 0) return undefined;
  const [link] = await ask(links, ['-d', 'link', 'show', 'dev', dev]);
  if (link === undefined || !link.flags.includes('LOWER_UP')) return dev;
  const kind = kindOf(link);
  if (kind === 'bridge' || kind === 'openvswitch') {
    // All Open vSwitch ports have one master.
    const master = kind === 'bridge' ? dev : 'ovs-system';
    const ports = await ask(links, ['-d', 'link', 'show', 'master', master]);
    // A guest's tap keeps a bridge up even if its cable is unplugged.
    const outward = ports.filter((port) => !['tun', 'openvswitch'].includes(kindOf(port)));
    const isCut = outward.length > 0 && !outward.some(({ flags }) => flags.includes('LOWER_UP'));
    return isCut ? outward.map(({ ifname }) => ifname).join(', ') : undefined;
  }
  const lower = kind === 'vlan' || kind === 'macvlan' ? link.link : undefined;
  return lower === undefined ? undefined : deadLink(lower, layers - 1, ask);
}

const kindOf = ({ linkinfo }: LinkEntry): string => linkinfo?.info_kind ?? '';

/** The kernel asked for the address's owner without an answer. */
async function isMissing(address: string, dev: string, ask: Ask): Promise<boolean> {
  const found = await ask(neighbours, ['neigh', 'show', 'to', address, 'dev', dev]);
  return found.every(({ state = [] }) =>
    state.some((each) => each === 'FAILED' || each === 'INCOMPLETE'),
  );
}

type Ask = <T>(shape: z.ZodType<T[]>, words: readonly string[]) => Promise<T[]>;

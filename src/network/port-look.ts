import { withDeadline } from '../deadline.ts';
import { godwitError } from '../errors.ts';
import type { PortNow } from '../migration/guest-changes/ports.ts';
import type { NicNetwork } from '../protocol/network.ts';
import { attachmentOf, linkLimits, linkRules } from './attachment.ts';
import { parseForwarding, parseLinks, parseVlans, type NetworkFacts } from './facts.ts';
import { networkTool, type IpAnswer } from './ip.ts';
import { readOvs } from './openvswitch.ts';
import { limitsOf } from './port-rules.ts';

/** Time limit; a guest may be paused for its switchover meanwhile, ms. */
const LOOK_MS = 1000;

/** Each reads one command per line, and answers with a line of JSON. */
const TOOLS = ['ip', 'bridge', 'tc'] as const;
type Tool = (typeof TOOLS)[number];

interface PendingLook {
  readonly ask: (input: Readonly<Record<Tool, readonly string[]>>) => void;
  readonly answers: readonly Promise<IpAnswer>[];
}

/**
 * Reads a guest's ports again. A paused guest may wait for the answer, so the programs are started in advance and
 * then answer within about 2 ms.
 */
export class PortLooks {
  #ahead: PendingLook | undefined;

  /** Starts the programs of the next look; they end with the signal or with this process. */
  ahead(signal: AbortSignal): void {
    if (!signal.aborted) this.#ahead ??= start(signal);
  }

  /** Current ports of these NICs. Rejects if a program does not answer, or a port is gone. */
  async look(nics: readonly NicNetwork[], signal: AbortSignal): Promise<PortNow[]> {
    return withDeadline('looking at the ports', LOOK_MS, signal, async (inner) => {
      const started = this.#ahead ?? start(inner);
      this.#ahead = undefined;
      started.ask(questions(nics));
      const ovs = nics.filter(({ attachment }) => attachment.kind === 'ovs');
      const names = ovs.map(({ port }) => port);
      const [ports, ...answers] = await Promise.all([
        names.length === 0 ? [] : readOvs(inner, names),
        ...started.answers,
      ]);
      if (ports.length !== ovs.length) throw unanswered('Open vSwitch', 'not all of its ports');
      const [ip, bridge, tc] = answers.map((answer, at) => lines(TOOLS[at] ?? 'ip', answer));
      return portsNow(nics, { ip: ip ?? [], bridge: bridge ?? [], tc: tc ?? [] }, ports);
    });
  }
}

function start(signal: AbortSignal): PendingLook {
  const asked = Promise.withResolvers<Parameters<PendingLook['ask']>[0]>();
  const answers = TOOLS.map((tool) => {
    const input = asked.promise.then((each) => each[tool].map((line) => `${line}\n`).join(''));
    const detail = tool === 'ip' ? ['-d'] : [];
    const answer = networkTool(tool, ['-j', ...detail, '-batch', '-'], signal, input);
    // Reported by the look that uses it.
    answer.catch(() => undefined);
    return answer;
  });
  return { ask: asked.resolve, answers };
}

function bridgeOf({ attachment }: NicNetwork): string | undefined {
  return attachment.kind === 'bridge' ? attachment.bridge : undefined;
}

function questions(nics: readonly NicNetwork[]): Record<Tool, string[]> {
  const links = nics.flatMap((nic) => [nic.port, bridgeOf(nic) ?? []].flat());
  return {
    ip: [...new Set(links)].map((link) => `link show dev ${link}`),
    bridge: nics.flatMap(({ port }) => [`vlan show dev ${port}`, `fdb show dev ${port}`]),
    tc: nics.map(({ port }) => `qdisc show dev ${port}`),
  };
}

function lines(tool: Tool, { status, output, reason }: IpAnswer): string[] {
  if (status !== 0) throw unanswered(tool, reason.split('\n')[0] ?? '');
  return output.split('\n').filter((line) => line !== '');
}

function unanswered(tool: string, reason: string): Error {
  return godwitError('GODWIT_HOST_LACKS', { what: `an answer of \`${tool}\`: ${reason}` });
}

/** Tool answers, in the order of the NICs. Pure. */
export function portsNow(
  nics: readonly NicNetwork[],
  answers: Readonly<Record<Tool, readonly string[]>>,
  ovsPorts: NetworkFacts['ovsPorts'],
): PortNow[] {
  const links = answers.ip.flatMap((line) => parseLinks(line));
  return nics.map((nic, at): PortNow => {
    const { id, port } = nic;
    const link = links.find(({ ifname }) => ifname === port);
    if (link === undefined) throw unanswered('ip', `no port ${port}`);
    const limits = [...linkLimits(link), ...limitsOf(answers.tc[at] ?? '')];
    const seen = { id, limits, rules: linkRules(link) };
    const { kind } = nic.attachment;
    const isThere = kind === 'ovs' || link.master === bridgeOf(nic);
    if (!isThere || kind === 'macvtap') return { ...seen, master: link.master };
    // Routes are not compared, because a routing daemon may change them.
    if (kind === 'routed') return { ...seen, attachment: { ...nic.attachment, mtu: link.mtu } };
    // `fdb show dev` omits the port's name.
    const forwarding = parseForwarding(withName(answers.bridge[2 * at + 1] ?? '', port));
    const facts = { links, forwarding, vlans: parseVlans(answers.bridge[2 * at] ?? ''), ovsPorts };
    const attachment = attachmentOf(port, { ...NOTHING, ...facts });
    return { ...seen, attachment, master: link.master };
  });
}

const NOTHING: Pick<NetworkFacts, 'addresses' | 'neighbours' | 'routes' | 'proxyArp' | 'proxyNdp'> =
  {
    addresses: [],
    neighbours: [],
    routes: [],
    proxyArp: new Set(),
    proxyNdp: new Set(),
  };

function withName(json: string, ifname: string): string {
  const list: unknown = JSON.parse(json.trim() === '' ? '[]' : json);
  if (!Array.isArray(list)) return '[]';
  return JSON.stringify(list.map((each: unknown) => Object.assign({}, each, { ifname })));
}

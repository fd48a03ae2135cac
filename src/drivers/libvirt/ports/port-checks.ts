import { godwitError, toGodwitError } from '../../../errors.ts';
import { refuses, warns, type Finding } from '../../../migration/preflight/finding.ts';
import { nicOf } from '../../../network/attachment.ts';
import type { NetworkFacts } from '../../../network/facts.ts';
import { readNetwork } from '../../../network/host.ts';
import { withPortRules } from '../../../network/port-rules.ts';
import type { NicNetwork, PortVlan } from '../../../protocol/network.ts';
import { protects, settingNames, settingWords } from '../../../protocol/port-settings.ts';
import type { Check } from '../../../protocol/public/migration.ts';
import type { DomainFacts } from '../domain-xml.ts';
import { processOf } from '../images/open-images.ts';
import type { DomainPort } from './ports.ts';

/**
 * libvirt creates the destination's port from the domain's XML alone. Manual settings at the source do not
 * follow the guest. A setting that isolates guests is refused; for others the check warns.
 */

/** Present port, and the bridge settings that a new port inherits. */
export interface PortAsIs {
  readonly nic: NicNetwork;
  readonly bridgeMtu?: number | undefined;
  /** VLAN of a new port in a VLAN-aware bridge. */
  readonly defaultVlan?: number | undefined;
}

interface UncarriedSettings {
  /** Settings that isolate guests, and others, as text. */
  readonly apart: readonly string[];
  readonly other: readonly string[];
}

/** libvirt sets it on each tap. */
const OF_EACH = 'tc noqueue';
/** `tc` disciplines that libvirt creates for `<bandwidth>`. */
const OF_BANDWIDTH = /^tc (htb|sfq|fq_codel|ingress|clsact)$/;
/** Chains of libvirt's filters. */
const OF_FILTER = /\blibvirt-|\b(?:[FH][IOJ]|[IOJ])-/;

/** Port settings that the domain's XML does not contain. Pure. */
export function settingsNotCarried(
  own: DomainPort,
  { nic, ...bridge }: PortAsIs,
): UncarriedSettings {
  const { attachment, rules = [], limits = [] } = nic;
  const settings = 'settings' in attachment ? (attachment.settings ?? {}) : {};
  const lost = settingNames(settings).filter((name) => {
    if (name === 'isolated') return !own.isIsolated;
    return !(own.keepsMacs && ['learning', 'flood', 'staticMacs'].includes(name));
  });
  const words = (isApart: boolean): string[] =>
    lost.filter((name) => protects(name) === isApart).map((name) => settingWords(name, settings));
  const named = rules.filter((rule) => namesPort(rule, own.port));
  const unfiltered = named.filter((rule) => !(own.hasFilter && OF_FILTER.test(rule)));
  // Rules of libvirt's filters look like foreign rules.
  const [apart, doubtful] = own.hasFilter ? [[], unfiltered] : [unfiltered, []];
  const chosen = limits.filter((limit) => limit !== OF_EACH);
  const mtu = own.mtu ?? bridge.bridgeMtu ?? attachment.mtu;
  return {
    apart: [
      ...(attachment.kind === 'ovs' ? [] : bridgeLost(own, nic)),
      ...words(true),
      ...vlanLost(own, nic, bridge.defaultVlan),
      ...apart,
    ],
    other: [
      // An Open vSwitch bridge may represent one VLAN of another bridge, which has its ports.
      ...(attachment.kind === 'ovs' ? bridgeLost(own, nic) : []),
      ...words(false),
      ...doubtful,
      ...chosen.filter((limit) => !(own.hasBandwidth && OF_BANDWIDTH.test(limit))),
      ...(attachment.mtu < mtu ? [`its MTU of ${attachment.mtu}`] : []),
      ...(isBridged(nic) && own.isIsolated && settings.isolated !== true ? ['isolated off'] : []),
    ],
  };
}

/** The port was moved to another bridge, so the guest is in another network than in its XML. */
function bridgeLost({ bridge }: DomainPort, { attachment }: NicNetwork): string[] {
  const now = 'bridge' in attachment ? attachment.bridge : undefined;
  if (bridge === undefined || now === bridge) return [];
  return [now === undefined ? `the place outside of ${bridge}` : `the bridge ${now}`];
}

function isBridged({ attachment: { kind } }: NicNetwork): boolean {
  return kind === 'bridge' || kind === 'ovs';
}

/** Rules for name patterns (`vnet*`) apply to the destination's port too, or are missing there for all ports. */
function namesPort(rule: string, port: string): boolean {
  // `tc` output is for this port only.
  return rule.split(/[\s"{},;()=]+/).includes(port) || /^(tc|XDP) /.test(rule);
}

function vlanLost({ hasVlan }: DomainPort, { attachment }: NicNetwork, standard = 1): string[] {
  if (hasVlan || !('vlan' in attachment) || attachment.vlan === undefined) return [];
  const { kind, vlan } = attachment;
  const isStandard = kind === 'bridge' && vlan.mode === 'access' && vlan.tag === standard;
  return isStandard ? [] : [vlanWords(vlan)];
}

function vlanWords(vlan: PortVlan): string {
  if (vlan.mode === 'access') return `VLAN ${vlan.tag}`;
  return `VLANs ${vlan.tags.slice(0, 16).join(', ') || 'all'}`;
}

const XML_HINT =
  'Put it into the domain’s XML (`<port isolated>`, `<vlan>`, `<filterref>`, `<bandwidth>`, `<mtu>`) if libvirt has it there. Else have a libvirt hook of the destination set it, and state that with `portHook` of the driver’s configuration.';

/** `hasHook`: the administrator states that a libvirt hook on each host makes the settings missing in the XML. Pure. */
export function judgePort(
  guest: string,
  own: DomainPort,
  found: PortAsIs,
  hasHook: boolean,
): Finding[] {
  const { apart, other } = settingsNotCarried(own, found);
  const of = `of the port ${own.port} of ${own.nic}`;
  const findings: Finding[] = [];
  if (apart.length > 0) {
    const words = apart.join(' | ');
    const what = `to keep ${words} ${of} of ${guest}`;
    const reason =
      'libvirt makes the port at the destination from the domain’s XML, which lacks it';
    findings.push(
      hasHook
        ? warns(`${words} ${of}: the hook of libvirt has to set it`, XML_HINT)
        : refuses(godwitError('GODWIT_CAPABILITY', { what, reason }, { hint: XML_HINT })),
    );
  }
  if (other.length > 0) {
    const unless = hasHook ? ', unless the hook of libvirt sets it' : '';
    findings.push(warns(`${other.join(', ')} ${of} stays behind${unless}`, XML_HINT));
  }
  return findings;
}

/** Ports of a local domain that are links of this host. */
export async function readPorts(
  { uuid, ports }: Pick<DomainFacts, 'uuid' | 'ports'>,
  signal: AbortSignal,
): Promise<PortAsIs[]> {
  if (ports.length === 0 || (await processOf(uuid)) === undefined) return [];
  const facts = await readNetwork({ ports: ports.map(({ port }) => port) }, signal);
  const nics = ports.flatMap(({ nic: id, mac, port }) => nicOf({ id, mac, port }, facts) ?? []);
  const ruled = await withPortRules(nics, signal);
  return ruled.map((nic) => ({ nic, ...bridgeOf(nic, facts) }));
}

function bridgeOf(
  { attachment }: NicNetwork,
  { links }: NetworkFacts,
): Pick<PortAsIs, 'bridgeMtu' | 'defaultVlan'> {
  if (attachment.kind !== 'bridge') return {};
  const bridge = links.find(({ ifname }) => ifname === attachment.bridge);
  const vlan = bridge?.data['vlan_default_pvid'];
  return { bridgeMtu: bridge?.mtu, ...(typeof vlan === 'number' ? { defaultVlan: vlan } : {}) };
}

/** Finding for each port with settings that stay behind. A host whose network cannot be read is a warning. */
export async function portChecks(
  facts: Pick<DomainFacts, 'name' | 'uuid' | 'ports'>,
  hasHook: boolean,
  signal: AbortSignal,
): Promise<Check[]> {
  const found = await readPorts(facts, signal).catch((thrown: unknown) => {
    signal.throwIfAborted();
    return toGodwitError(thrown).message;
  });
  const check = (finding: Finding): Check => ({ name: 'ports', side: 'source', ...finding });
  if (typeof found === 'string') {
    const evidence = `settings of its ports that were made by hand are not known: ${found}`;
    return [check(warns(evidence, 'See that none of them is to follow the guest.'))];
  }
  return found.flatMap((port) => {
    const own = facts.ports.find(({ nic }) => nic === port.nic.id);
    return own === undefined ? [] : judgePort(facts.name, own, port, hasHook).map(check);
  });
}

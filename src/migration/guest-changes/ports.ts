import type { Attachment, NicNetwork, PortVlan } from '../../protocol/network.ts';
import { PORT_SETTINGS, settingWords, type PortSettings } from '../../protocol/port-settings.ts';
import type { GuestChange } from './compare.ts';

/**
 * Changes of the guest's ports at the source since the destination's ports were made. The move would lose them. Pure.
 */

export type PortNow = Pick<NicNetwork, 'id' | 'limits' | 'rules'> & {
  /** Absent: no bridge, or one that cannot be compared, which `master` names. */
  readonly attachment?: Attachment | undefined;
  readonly master?: string | undefined;
};

type Properties = ReadonlyMap<string, string>;

/** Properties that the second look reads; the lists also contain packet filter rules. */
const COMPARED_LIMIT = /^(tc |the state |the link group |the queue )/;
const COMPARED_RULE = /^XDP /;

export function changedPorts(
  before: readonly NicNetwork[],
  now: readonly PortNow[],
): GuestChange[] {
  return before.flatMap((nic) => {
    const port = now.find(({ id }) => id === nic.id);
    if (port === undefined) return [];
    const [old, current] = [propertiesOf(nic), propertiesOf(port)];
    // Another bridge implies other settings.
    const isElsewhere = old.get('the bridge') !== current.get('the bridge');
    const names = isElsewhere ? ['the bridge'] : [...new Set([...old.keys(), ...current.keys()])];
    return names.flatMap((name): GuestChange[] => {
      const [was, is] = [old.get(name), current.get(name)];
      if (was === is) return [];
      const words = `${name} of the port of ${nic.id} changed from ${was ?? 'unset'} to ${is ?? 'unset'}`;
      const type = was === undefined ? 'added' : is === undefined ? 'removed' : 'changed';
      return [{ kind: 'port', name: `${nic.id} ${name}`, type, verdict: 'rolls-back', words }];
    });
  });
}

export function portWords(port: PortNow): string {
  return [...propertiesOf(port)].map(([name, value]) => `${name} ${value}`).join(', ');
}

function propertiesOf({ attachment, limits = [], rules = [], ...port }: PortNow): Properties {
  const found = new Map<string, string>();
  const bridge = bridgeOf(attachment) ?? ('master' in port ? port.master : undefined);
  found.set('the bridge', bridge ?? 'none');
  for (const limit of limits) if (COMPARED_LIMIT.test(limit)) found.set(limit, 'set');
  for (const rule of rules) if (COMPARED_RULE.test(rule)) found.set(rule, 'set');
  if (attachment === undefined) return found;
  found.set('the MTU', `${attachment.mtu}`);
  if (attachment.kind !== 'bridge' && attachment.kind !== 'ovs') return found;
  if (attachment.vlan !== undefined) found.set('the VLAN', vlanWords(attachment.vlan));
  for (const [name, value] of settingsOf(attachment.settings)) found.set(name, value);
  return found;
}

function bridgeOf(attachment: Attachment | undefined): string | undefined {
  return attachment?.kind === 'bridge' || attachment?.kind === 'ovs'
    ? attachment.bridge
    : undefined;
}

function vlanWords(vlan: PortVlan): string {
  if (vlan.mode === 'access') return `${vlan.tag}`;
  const { native, tags } = vlan;
  const own = native === undefined ? '' : `${native} untagged and `;
  const sorted = tags.toSorted((one, other) => one - other);
  return `${own}${sorted.length === 0 ? 'all' : sorted.join(',')} tagged`;
}

function settingsOf(settings: PortSettings = {}): [string, string][] {
  return PORT_SETTINGS.flatMap((name): [string, string][] => {
    if (settings[name] === undefined) return [];
    if (name !== 'staticMacs') return [[name, settingWords(name, settings).slice(name.length + 1)]];
    return (settings.staticMacs ?? []).map(({ mac, vlan, sticky }) => [
      `the static entry for ${mac}${vlan === undefined ? '' : ` in VLAN ${vlan}`}`,
      sticky === true ? 'sticky' : 'set',
    ]);
  });
}

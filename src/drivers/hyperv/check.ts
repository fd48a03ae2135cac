import { godwitError, type GodwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import {
  managerPass,
  managerRefusal,
  managerState,
  managerWarn,
} from '../../port/manager-checks.ts';
import type { GuestWhole, HostFacts, Incompatibility, ScriptError } from './answers.ts';
import { explained, meaningOf } from './hresults.ts';
import { runState } from './whereabouts.ts';
import { unknownWindows } from './windows.ts';

/** Checks of Hyper-V and its hosts for a move; changes nothing. Pure. */

export interface Hosts {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly source: HostFacts;
  readonly destination: HostFacts;
  /** Folder at the destination for local disks. */
  readonly storage?: string | undefined;
  /** All disks move there, including disks that both hosts see. */
  readonly isAsked?: boolean;
}

export function guestChecks(name: string, found: GuestWhole): Check[] {
  const { guest, devices, images, compatibility } = found;
  const state = runState(guest.state);
  const isRunning = state === 'running' || state === 'paused';
  return [
    managerState(name, isRunning ? state : guest.state, isRunning),
    ...devices.map((device) => unmovable(name, device)),
    ...images.filter((image) => !isShared(image)).map(localImage),
    compatibility
      ? managerPass('processor', 'source', 'processor compatibility is on')
      : managerWarn(
          'processor',
          'source',
          'processor compatibility is off: a destination needs every feature of this processor',
          'Shut the guest down and run `Set-VMProcessor NAME -CompatibilityForMigrationEnabled $true`, if the hosts differ.',
        ),
  ];
}

function unmovable(guest: string, device: string): Check {
  const facts = { device, type: 'of the host', guest, reason: 'Hyper-V moves no assigned device' };
  return managerRefusal('devices', 'source', godwitError('GODWIT_DEVICE_UNMOVABLE', facts));
}

function localImage(image: string): Check {
  return managerWarn(
    'images',
    'source',
    `${image} is in its DVD drive, and lies on this host`,
    'Take it out (`Set-VMDvdDrive -Path $null`), or put it where both hosts read it.',
  );
}

export function isShared(path: string): boolean {
  return path.startsWith('\\\\') || /^[A-Za-z]:\\ClusterStorage\\/i.test(path);
}

export function hasLocalDisks({ disks }: GuestWhole): boolean {
  return disks.some(({ path, physical }) => !physical && !isShared(path));
}

export function hostChecks(hosts: Hosts, found: GuestWhole): Check[] {
  const { guest } = hosts;
  if (found.guest.clustered) {
    return [...versionChecks(hosts), clusterCheck(hosts), switchCheck(hosts, found)];
  }
  return [
    ...versionChecks(hosts),
    ...(['source', 'destination'] as const).flatMap((side) => [
      enabledCheck(hosts, side),
      limitCheck(hosts, side),
      networkCheck(hosts, side),
    ]),
    authenticationCheck(hosts),
    switchCheck(hosts, found),
    ...diskChecks(guest, found, hosts),
  ];
}

function versionChecks({ from, to, source, destination }: Hosts): Check[] {
  const refused = [
    ...versionCheck('source', from, source),
    ...versionCheck('destination', to, destination),
  ];
  if (refused.length > 0) return refused;
  const versions = `Windows ${source.version} here, ${destination.version} there`;
  return [managerPass('manager', 'both', versions)];
}

/** Empty for a known Windows version. */
export function versionCheck(
  side: 'source' | 'destination',
  host: string,
  { version }: Pick<HostFacts, 'version'>,
): Check[] {
  const error = unknownWindows(version, host);
  return error === undefined ? [] : [managerRefusal('manager', side, error)];
}

function nameOf({ from, to }: Hosts, side: 'source' | 'destination'): string {
  return side === 'source' ? from : to;
}

export function impossible(
  { guest, to }: Pick<Hosts, 'guest' | 'to'>,
  reason: string,
  hint: string,
): GodwitError {
  const facts = { manager: 'Hyper-V', guest, host: to, reason };
  return godwitError('GODWIT_MANAGER_REFUSES', facts, { hint });
}

/** A clustered guest moves through its cluster, between its nodes. */
function clusterCheck(hosts: Hosts): Check {
  const { source, destination, to } = hosts;
  const isNode = source.nodes.some((node) => node.toLowerCase() === destination.name.toLowerCase());
  if (isNode)
    return managerPass('cluster', 'both', `the cluster moves it: ${to} is one of its nodes`);
  const reason = `it is a role of a cluster, and ${to} (${destination.name}) is no node of it (${source.nodes.join(', ') || 'none is named'})`;
  const hint =
    'Choose a node of the cluster, or take the guest out of the cluster first (`Remove-ClusterGroup`).';
  return managerRefusal('cluster', 'both', impossible(hosts, reason, hint));
}

function enabledCheck(hosts: Hosts, side: 'source' | 'destination'): Check {
  const name = nameOf(hosts, side);
  if (hosts[side].enabled) return managerPass('live-migration', side, `it is on at ${name}`);
  const hint = `Run \`Enable-VMMigration\` on ${name}.`;
  return managerRefusal('live-migration', side, impossible(hosts, `it is off on ${name}`, hint));
}

function limitCheck(hosts: Hosts, side: 'source' | 'destination'): Check {
  const { active, limit } = hosts[side];
  const name = nameOf(hosts, side);
  if (active < limit)
    return managerPass('limit', side, `${active} of ${limit} migrations at ${name}`);
  const error = godwitError(
    'GODWIT_OVERLOADED',
    { what: `simultaneous live migrations of ${name}`, limit },
    { hint: 'Wait for one to end, or raise it: `Set-VMHost -MaximumVirtualMachineMigrations`.' },
  );
  return managerRefusal('limit', side, error);
}

function networkCheck(hosts: Hosts, side: 'source' | 'destination'): Check {
  const { anyNetwork, networks } = hosts[side];
  const name = nameOf(hosts, side);
  if (anyNetwork) return managerPass('networks', side, `${name} takes any network`);
  if (networks.length > 0)
    return managerPass('networks', side, `${name} takes ${networks.join(', ')}`);
  const hint = `On ${name}: \`Add-VMMigrationNetwork SUBNET\`, or \`Set-VMHost -UseAnyNetworkForMigration $true\`.`;
  return managerRefusal(
    'networks',
    side,
    impossible(hosts, `${name} names no network for it`, hint),
  );
}

function authenticationCheck(hosts: Hosts): Check {
  const { source, destination } = hosts;
  const isKerberos = (each: HostFacts): boolean => /kerberos/i.test(each.authentication);
  if (isKerberos(source) && isKerberos(destination)) {
    if (source.domain !== '' && destination.domain !== '') {
      return managerPass('authentication', 'both', `Kerberos, of ${source.domain}`);
    }
    const reason = 'one of the hosts is in no domain, and Kerberos needs one';
    return managerRefusal(
      'authentication',
      'both',
      impossible(hosts, reason, 'Join both hosts to a domain.'),
    );
  }
  const reason = `the hosts authenticate by ${source.authentication} and ${destination.authentication}; CredSSP needs a person who is logged on at the source`;
  const hint =
    'On both hosts: `Set-VMHost -VirtualMachineMigrationAuthenticationType Kerberos`, with constrained delegation.';
  return managerRefusal('authentication', 'both', impossible(hosts, reason, hint));
}

function switchCheck({ guest, to, destination }: Hosts, found: GuestWhole): Check {
  const wanted = [...new Set(found.guest.nics.map((nic) => nic.switch))].filter(
    (each) => each !== '',
  );
  const there = new Set(destination.switches.map((each) => each.toLowerCase()));
  const missing = wanted.filter((each) => !there.has(each.toLowerCase()));
  if (missing.length === 0) {
    return managerPass('switches', 'destination', wanted.join(', ') || 'it is on no switch');
  }
  const error = godwitError(
    'GODWIT_DEVICE_UNMAPPED',
    {
      device: 'a network adapter',
      guest,
      host: to,
      what: `no virtual switch is called ${missing.join(', ')} there`,
    },
    { hint: `Make one of that name on ${to} (\`New-VMSwitch\`), or rename one.` },
  );
  return managerRefusal('switches', 'destination', error);
}

function diskChecks(
  guest: string,
  found: GuestWhole,
  { storage, isAsked = false }: Pick<Hosts, 'storage' | 'isAsked'>,
): Check[] {
  const refused = found.disks.flatMap(({ path, physical, at }) => {
    if (!physical && (isShared(path) || storage !== undefined)) return [];
    const reason = physical ? 'it is a physical disk of this host' : 'only this host has it';
    const hint = physical
      ? 'Detach it, or give the guest a virtual disk in its place.'
      : 'Name a folder of the destination in `drivers.hyperv.hosts.NAME.storage`: the guest moves with its disks then. Or put them on a share (SMB 3).';
    const facts = { device: at, guest, file: path, reason };
    return [managerRefusal('disks', 'source', godwitError('GODWIT_DISK_LOCAL', facts, { hint }))];
  });
  if (refused.length > 0) return refused;
  const isGoing = hasLocalDisks(found) || isAsked;
  const evidence = isGoing ? `they go along, to ${storage}` : 'on shared storage';
  return [managerPass('disks', 'source', evidence)];
}

/** Compare-VM, Hyper-V's own test of the move. */
export function compareChecks(hosts: Hosts, found: readonly Incompatibility[]): Check[] {
  const { guest, to } = hosts;
  if (found.length === 0)
    return [managerPass('compare', 'both', 'Compare-VM finds nothing against it')];
  return found.map(({ id, message }) => {
    const meaning = meaningOf(message);
    const reported = `${message} (Compare-VM ${id})`;
    const hint = meaning?.fix ?? 'The message is Hyper-V’s own: `Compare-VM` shows it too.';
    if (meaning?.kind === 'cpu') {
      const facts = { host: to, guest, features: reported };
      return managerRefusal(
        'compare',
        'destination',
        godwitError('GODWIT_CPU_FEATURE', facts, { hint }),
      );
    }
    if (meaning?.kind === 'switch') {
      const facts = { device: 'a network adapter', guest, host: to, what: reported };
      return managerRefusal(
        'compare',
        'destination',
        godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint }),
      );
    }
    return managerRefusal('compare', 'both', impossible(hosts, reported, hint));
  });
}

/** Compare-VM failed, usually because the source may not act for the user at the destination. */
export function notCompared(hosts: Hosts, error: ScriptError): Check {
  const { source, destination } = hosts;
  const meaning = meaningOf(error.message, error.hresult);
  const isDelegation = meaning?.kind === 'delegation' || meaning?.kind === 'rights';
  const reported = explained(error.message, error.hresult);
  if (!isDelegation) {
    const hint =
      meaning?.fix ?? 'The message is Hyper-V’s own: `Compare-VM` on the source shows it too.';
    return managerRefusal('compare', 'both', impossible(hosts, reported, hint));
  }
  const hint = `In the domain, as its administrator: ${delegationScript(source.name, destination.name)}`;
  return managerRefusal('delegation', 'both', impossible(hosts, reported, hint));
}

/** Script that lets each host act for a user at the other: resource-based constrained delegation. */
export function delegationScript(source: string, destination: string): string {
  const allow = (from: string, to: string): string =>
    `$to=Get-ADComputer ${to} -Properties PrincipalsAllowedToDelegateToAccount; Set-ADComputer $to -PrincipalsAllowedToDelegateToAccount (@($to.PrincipalsAllowedToDelegateToAccount)+(Get-ADComputer ${from}))`;
  return `${allow(quoted(source), quoted(destination))}; ${allow(quoted(destination), quoted(source))}; then \`klist purge -li 0x3e7\` on both hosts.`;
}

/** The operator runs the script, so a host's false name must contain nothing but a name. */
function quoted(name: string): string {
  return `'${name.replaceAll(/[^A-Za-z0-9-]/g, '')}'`;
}

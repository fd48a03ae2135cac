import { godwitError, type GodwitError } from '../src/errors.ts';
import { runCommand } from './command.ts';
import { missingPrograms } from './environment.ts';
import type { LabNetwork } from './plan.ts';

const OVS_PROGRAMS = ['ovsdb-tool', 'ovsdb-server', 'ovs-vsctl', 'ovs-vswitchd'];

/** Why a lab of this kind cannot be here, as GODWIT_HOST_LACKS; undefined where it can. Leaves nothing behind. */
export async function networkLacks(
  network: LabNetwork | undefined,
): Promise<GodwitError | undefined> {
  switch (network) {
    case 'ovs':
      return ovsLacks();
    case 'vlan':
      return vlanLacks();
    default:
      return undefined;
  }
}

async function ovsLacks(): Promise<GodwitError | undefined> {
  const missing = await missingPrograms(OVS_PROGRAMS);
  if (missing.length === 0) return undefined;
  return godwitError(
    'GODWIT_HOST_LACKS',
    { what: `Open vSwitch (${missing.join(', ')})` },
    { hint: 'Run `npm run setup`, or install openvswitch-switch; its services need not run.' },
  );
}

/** By trying, in a namespace that goes away with the command. */
async function vlanLacks(): Promise<GodwitError | undefined> {
  const own = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const bridge = ['ip', 'link', 'add', 'try', 'type', 'bridge', 'vlan_filtering', '1'];
  try {
    await runCommand(['unshare', '--net', ...own, ...bridge]);
    return undefined;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return godwitError(
      'GODWIT_HOST_LACKS',
      { what: `bridges that know VLANs (CONFIG_BRIDGE_VLAN_FILTERING of its kernel): ${why}` },
      { hint: 'Choose --network ovs: Open vSwitch brings its own.', cause },
    );
  }
}

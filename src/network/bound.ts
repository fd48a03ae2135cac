import { withDeadline } from '../deadline.ts';
import { systemClock } from '../clock.ts';
import { godwitError } from '../errors.ts';
import { passes, refuses, warns, type Finding } from '../migration/preflight/finding.ts';
import type { NicNetwork } from '../protocol/network.ts';
import type { OwnHooks } from './addresses.ts';
import { parseOvsIds } from './facts.ts';
import { networkTool } from './ip.ts';
import type { Landing } from './landing.ts';

/** Ports that a network controller (OVN, Neutron) binds to a host. */

/** Time for a controller to bind a port and set its flows; measured: under 0.1 s. */
const BOUND_MS = 8000;
const LOOK_MS = 200;

/** Hook that lets the controller bind a port. */
export const BINDS = 'prepare-destination';

/** Logical port of a controller-bound NIC, if it will be on Open vSwitch here as well. Pure. */
export function logicalPortOf({ attachment }: NicNetwork, landing: Landing): string | undefined {
  if (attachment.kind !== 'ovs' || landing.kind !== 'ovs') return undefined;
  return attachment.ids?.['iface-id'];
}

export interface BindingHost {
  readonly host: string;
  readonly hooks: OwnHooks;
  readonly hasOvn: boolean;
}

/** Checks that the NIC's logical port will be bound here. Empty if it has none. Pure. */
export function judgeBinding(
  nic: NicNetwork,
  landing: Landing,
  { host, hooks, hasOvn }: BindingHost,
): Finding | undefined {
  const id = logicalPortOf(nic, landing);
  if (id === undefined) return undefined;
  if (hooks.includes(BINDS)) return passes(`${nic.id}: the hook ${BINDS} binds ${id} to ${host}`);
  const why = `${host} has no hook ${BINDS}, which reports it to the network’s controller`;
  // libvirt and scripts set an iface-id for every Open vSwitch port, even without a controller.
  if (!hasOvn) return warns(`${nic.id}: nobody binds ${id} here: ${why}`, UNBOUND_HINT);
  const error = godwitError('GODWIT_PORT_UNBOUND', { port: id, host, why });
  return refuses(error, `${nic.id}: ${error.message}`);
}

const UNBOUND_HINT =
  'Nothing to do where no controller (OVN, Neutron) owns the network; else configure the hook prepare-destination.';

/** `external_ids` of an Open vSwitch interface, and of the switch itself. */
export interface BoundFacts {
  readonly port: Readonly<Record<string, string>>;
  readonly own: Readonly<Record<string, string>>;
}

/** Reason why a port is not bound as `id` yet; undefined once it is. Without OVN, only the name is compared. Pure. */
export function whyUnbound(id: string, { port, own }: BoundFacts): string | undefined {
  if (port['iface-id'] !== id) {
    const found = port['iface-id'];
    return `its port has ${found === undefined ? 'no iface-id' : `the iface-id ${found}`} here`;
  }
  if (own['ovn-remote'] === undefined || port['ovn-installed'] === 'true') return undefined;
  return 'ovn-controller has set no flows for it';
}

/** Waits until the controller has bound `port` as `id`. GODWIT_PORT_UNBOUND on timeout. */
export async function awaitBound(
  asked: { readonly port: string; readonly id: string; readonly host: string },
  signal: AbortSignal,
): Promise<void> {
  const { port, id, host } = asked;
  let why = 'Open vSwitch did not say so';
  try {
    await withDeadline(`${id} to be bound`, BOUND_MS, signal, async (inner) => {
      for (;;) {
        const found = whyUnbound(id, await readBound(port, inner));
        if (found === undefined) return;
        why = found;
        await systemClock.sleep(LOOK_MS, inner);
      }
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw godwitError('GODWIT_PORT_UNBOUND', { port: id, host, why }, { cause });
  }
}

export async function ovnIsHere(signal: AbortSignal): Promise<boolean> {
  const words = ['--timeout=4', '--format=json', '--columns=external_ids', 'list', 'Open_vSwitch'];
  const { status, output } = await networkTool('ovs-vsctl', words, signal);
  return status === 0 && parseOvsIds(output)[0]?.['ovn-remote'] !== undefined;
}

async function readBound(port: string, signal: AbortSignal): Promise<BoundFacts> {
  const column = '--columns=external_ids';
  const both = ['--', column, 'list', 'Interface', port, '--', column, 'list', 'Open_vSwitch'];
  const words = ['--timeout=4', '--format=json', ...both];
  const { status, output, reason } = await networkTool('ovs-vsctl', words, signal);
  if (status !== 0) throw godwitError('GODWIT_HOST_LACKS', { what: `${port}: ${reason}` });
  const [ofPort = '', ofSwitch = ''] = output.split('\n');
  return { port: parseOvsIds(ofPort)[0] ?? {}, own: parseOvsIds(ofSwitch)[0] ?? {} };
}

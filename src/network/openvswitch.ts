import { access } from 'node:fs/promises';
import { withDeadline } from '../deadline.ts';
import { godwitError, toGodwitError } from '../errors.ts';
import { parseOvsPorts, type OvsPort } from './facts.ts';
import { unplugStep } from './handover.ts';
import { networkTool } from './ip.ts';

/** This host's Open vSwitch: its database socket, and `ovs-vsctl`. */

const DIRECTORIES = ['/run/openvswitch', '/usr/local/var/run/openvswitch'];
/** An unresponsive database must not delay unrelated hosts. */
const READ_MS = 4000;
const UNPLUG_MS = 3000;
const READ_PORTS =
  '--timeout=4 --format=json -- --columns=_uuid,name,tag,trunks,vlan_mode,protected list Port';
const READ_BRIDGES = '-- --columns=name,ports list Bridge';
const READ_INTERFACES = '-- --columns=name,external_ids list Interface';

/**
 * Socket of this host's Open vSwitch, searched in OVS_RUNDIR and the built-in paths; undefined without one. It may
 * not answer.
 */
export async function ovsDatabase(
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const own = environment['OVS_RUNDIR'];
  for (const directory of own ? [own] : DIRECTORIES) {
    const socket = `${directory}/db.sock`;
    const isThere = await access(socket).then(
      () => true,
      () => false,
    );
    if (isThere) return socket;
  }
  return undefined;
}

/**
 * All ports, or these only and without ids. Empty if this host has no Open vSwitch, it does not answer, or a port is
 * missing.
 */
export async function readOvs(signal: AbortSignal, only?: readonly string[]): Promise<OvsPort[]> {
  if ((await ovsDatabase()) === undefined) return [];
  try {
    return await withDeadline('Open vSwitch', READ_MS, signal, async (inner) => {
      const words = [READ_PORTS, ...(only ?? []), READ_BRIDGES];
      if (only === undefined) words.push(READ_INTERFACES);
      const call = words.flatMap((part) => part.split(' '));
      const { status, output } = await networkTool('ovs-vsctl', call, inner);
      const [ports = '', bridges = '', interfaces] = output.split('\n');
      return status === 0 ? parseOvsPorts(ports, bridges, interfaces || undefined) : [];
    });
  } catch (thrown) {
    signal.throwIfAborted();
    return none(thrown);
  }
}

function none(thrown: unknown): [] {
  const { code } = toGodwitError(thrown);
  if (code === 'GODWIT_HOST_LACKS' || code === 'GODWIT_DEADLINE') return [];
  throw thrown;
}

/**
 * Removes a port from Open vSwitch, which would keep its record. Does nothing without such a port, and does not wait
 * for a switch that may be down. GODWIT_HOST_LACKS or GODWIT_DEADLINE if the database cannot do it.
 */
export async function unplug(port: string, signal: AbortSignal): Promise<void> {
  if ((await ovsDatabase()) === undefined) return;
  const { does, run } = unplugStep(port);
  await withDeadline(does, UNPLUG_MS, signal, async (inner) => {
    const { status, reason } = await networkTool('ovs-vsctl', run.words, inner);
    if (status === 0) return;
    throw godwitError('GODWIT_HOST_LACKS', { what: `what it takes to ${does}: ${reason}` });
  });
}

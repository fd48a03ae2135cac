import { XdrWriter } from '../../formats/xdr.ts';
import { unless, type Domain, type LibvirtClient } from './client.ts';
import type { Machine } from './domain-xml.ts';
import { formatXml } from '../../formats/xml.ts';
import { LibvirtRefusal } from './rpc/connection.ts';

/** Queries before a move. They change nothing. */

const PROC = {
  capabilities: 7,
  networkByName: 46,
  poolByName: 84,
  interfaceByName: 128,
  isNetworkActive: 152,
  isPoolActive: 154,
  hasManagedSave: 183,
  snapshots: 274,
  nodeDevices: 285,
  domainCapabilities: 342,
  compareCpu: 393,
  checkpoints: 413,
} as const;

/** Errors of an older daemon, or of a driver without the query. */
const UNKNOWN = [3, 39];
const NO_NETWORK = 43;
const NO_POOL = 49;
const NO_INTERFACE = 57;
/** VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET */
const NETWORK_DEVICES = 16;
const MAX_DEVICES = 16_384;
const CPU_INCOMPATIBLE = 91;
const FAIL_INCOMPATIBLE = 1;
const CPU_IDENTICAL = 1;
const MAX_TEXT = 8_388_608;
const MAX_NAME = 65_536;
const COUNT_ONLY = 0;
/** A newly installed or updated daemon first tests each QEMU of its host. */
const TRIES_MS = 15_000;

/** State that a daemon keeps for a domain outside its definition. */
export interface SavedStates {
  readonly snapshots: number;
  readonly checkpoints: number;
  readonly hasManagedSave: boolean;
}

/** `unanswered`: the daemon refuses the query with this message. */
export type Existence =
  | { readonly is: 'active' | 'inactive' | 'absent' }
  | { readonly is: 'unanswered'; readonly why: string };

export async function keptFor(
  client: LibvirtClient,
  { name, uuid, id }: Domain,
  signal: AbortSignal,
): Promise<SavedStates> {
  const about = (): XdrWriter => new XdrWriter().string(name).uuid(uuid).int32(id);
  const counted = async (procedure: number): Promise<number> => {
    const body = about().int32(COUNT_ONLY).uint32(0);
    const answer = await unless(UNKNOWN, client.ask(procedure, body, signal));
    if (answer === undefined) return 0;
    answer.list(0, () => undefined);
    return answer.int32();
  };
  const saved = await client.ask(PROC.hasManagedSave, about().uint32(0), signal);
  return {
    snapshots: await counted(PROC.snapshots),
    checkpoints: await counted(PROC.checkpoints),
    hasManagedSave: saved.int32() !== 0,
  };
}

export function network(
  client: LibvirtClient,
  name: string,
  signal: AbortSignal,
): Promise<Existence> {
  const procedures = { byName: PROC.networkByName, isActive: PROC.isNetworkActive };
  return existence(client, { ...procedures, name, none: NO_NETWORK }, signal);
}

export function pool(client: LibvirtClient, name: string, signal: AbortSignal): Promise<Existence> {
  const procedures = { byName: PROC.poolByName, isActive: PROC.isPoolActive };
  return existence(client, { ...procedures, name, none: NO_POOL }, signal);
}

interface NameLookup {
  readonly byName: number;
  readonly isActive: number;
  readonly name: string;
  /** libvirt's error code if it does not exist. */
  readonly none: number;
}

async function existence(
  client: LibvirtClient,
  { byName, isActive, name, none }: NameLookup,
  signal: AbortSignal,
): Promise<Existence> {
  try {
    const asked = client.ask(byName, new XdrWriter().string(name), signal);
    const found = await unless([none], asked);
    if (found === undefined) return { is: 'absent' };
    const body = new XdrWriter().string(found.string(MAX_NAME)).uuid(found.uuid());
    const active = (await client.ask(isActive, body, signal)).int32() !== 0;
    return { is: active ? 'active' : 'inactive' };
  } catch (thrown) {
    if (thrown instanceof LibvirtRefusal) return { is: 'unanswered', why: thrown.message };
    throw thrown;
  }
}

/**
 * Checks whether that host has a network device of that name. The interface driver is current but may list only
 * configured devices (netcf). The device list has all, but without udev it may be outdated.
 */
export async function networkDevice(
  client: LibvirtClient,
  name: string,
  signal: AbortSignal,
): Promise<Existence> {
  try {
    const asked = client.ask(PROC.interfaceByName, new XdrWriter().string(name), signal);
    const found = await unless([NO_INTERFACE], asked);
    if (found !== undefined) return { is: 'active' };
    const isListed = await listsDevice(client, name, signal);
    if (isListed === undefined)
      return { is: 'unanswered', why: `its interfaces lack ${name}, and it lists no devices` };
    return { is: isListed ? 'active' : 'absent' };
  } catch (thrown) {
    if (!(thrown instanceof LibvirtRefusal)) throw thrown;
    const isListed = await listsDevice(client, name, signal);
    return isListed === true ? { is: 'active' } : { is: 'unanswered', why: thrown.message };
  }
}

/**
 * Looks for libvirt's name of it: `net_br_lan_52_54_00_00_00_01` for `br-lan`. Undefined if libvirt refuses the
 * list.
 */
async function listsDevice(
  client: LibvirtClient,
  name: string,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const own = `net_${name.replaceAll(/[^A-Za-z0-9]/g, '_')}_`;
  try {
    const body = new XdrWriter().int32(MAX_DEVICES).uint32(NETWORK_DEVICES);
    const answer = await client.ask(PROC.nodeDevices, body, signal);
    const names = answer.list(MAX_DEVICES, () => answer.string(MAX_NAME));
    return names.some(
      (each) =>
        each.startsWith(own) && /^(?:[0-9a-f]{2}_){5}[0-9a-f]{2}$/.test(each.slice(own.length)),
    );
  } catch (thrown) {
    if (thrown instanceof LibvirtRefusal) return undefined;
    throw thrown;
  }
}

export async function capabilities(client: LibvirtClient, signal: AbortSignal): Promise<string> {
  const answer = await client.ask(PROC.capabilities, new XdrWriter(), signal, TRIES_MS);
  return answer.string(MAX_TEXT);
}

/** Throws LibvirtRefusal if the daemon lacks the emulator, machine or type. */
export async function domainCapabilities(
  client: LibvirtClient,
  machine: Machine,
  signal: AbortSignal,
): Promise<string> {
  const body = writeMachine(machine).uint32(0);
  const answer = await client.ask(PROC.domainCapabilities, body, signal, TRIES_MS);
  return answer.string(MAX_TEXT);
}

/** Result of comparing a processor with a hypervisor's best one. */
export type CpuComparison =
  | { readonly is: 'same' | 'less' }
  | { readonly is: 'incompatible'; readonly why: string };

/** Checks whether the daemon's hypervisor can provide this processor. */
export async function compareCpu(
  client: LibvirtClient,
  machine: Machine & { readonly cpu: NonNullable<Machine['cpu']> },
  signal: AbortSignal,
): Promise<CpuComparison> {
  const body = writeMachine(machine).string(formatXml(machine.cpu)).uint32(FAIL_INCOMPATIBLE);
  try {
    const found = (await client.ask(PROC.compareCpu, body, signal, TRIES_MS)).int32();
    if (found === CPU_IDENTICAL) return { is: 'same' };
    return found > 0 ? { is: 'less' } : { is: 'incompatible', why: 'libvirt does not say which' };
  } catch (thrown) {
    const isAnswer = thrown instanceof LibvirtRefusal && thrown.libvirt.code === CPU_INCOMPATIBLE;
    if (isAnswer) return { is: 'incompatible', why: thrown.message };
    throw thrown;
  }
}

function writeMachine({ emulator, arch, type, virtType }: Machine): XdrWriter {
  return new XdrWriter()
    .optionalString(emulator)
    .optionalString(arch)
    .optionalString(type)
    .optionalString(virtType);
}

import { execFile } from 'node:child_process';
import { constants, existsSync, readSync } from 'node:fs';
import { open, readFile, readdir, rm, stat, writeFile, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { systemClock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import type { PortVlan } from '../../protocol/network.ts';
import { plugStep, vlanSteps } from '../handover.ts';
import { carryOn } from '../host.ts';
import { ip } from '../ip.ts';
import { unplug } from '../openvswitch.ts';
import { portMac, tapName } from '../tap.ts';

/**
 * A port of our own in a guest's segment, from which this process sends and hears frames. A macvtap is a file, which a
 * packet socket is not: no other program is needed. It stands on one end of a pair whose other end is in the bridge, so
 * that questions enter where a guest's frames would.
 */
export interface ProbePort {
  readonly mac: string;
  send(frame: Buffer): Promise<void>;
  /** The next frame that has come; undefined when there is none now. */
  receive(): Promise<Buffer | undefined>;
  close(): Promise<void>;
}

/** A bridge, or one of its VLANs. */
export interface Segment {
  /** Of Linux, or of Open vSwitch. */
  readonly kind: 'bridge' | 'ovs';
  readonly bridge: string;
  readonly vlan?: PortVlan | undefined;
}

/** Before each frame: the kernel's virtio header, all zero for a frame that is whole as it is. */
const HEADER_BYTES = 10;
const LARGEST = 2048;
const buffer = Buffer.alloc(LARGEST);
const CLEAN_MS = 5000;
/** States of a bridge's port (linux/if_bridge.h); it is disabled until the bridge has seen its carrier. */
const DISABLED = '0';
const FORWARDING = '3';
const CARRIER_MS = 2000;
const CARRIER_LOOK_MS = 5;

/** Who opened it: a mover that asks once, or a watch. */
export type ProbeUser = 'p' | 'w';

/** The name of the bridge's end; nothing is left of a probe once that is removed. */
function probePortName(migrationId: string, user: ProbeUser = 'p'): string {
  return tapName(migrationId, 0).replace(/n0$/, `${user}a`);
}

/** Opens it in the segment where a NIC is or will be. GODWIT_HOST_LACKS where this host cannot. */
export async function openProbePort(
  migrationId: string,
  at: Segment,
  signal: AbortSignal,
  user: ProbeUser = 'p',
): Promise<ProbePort> {
  const outer = probePortName(migrationId, user);
  const inner = outer.replace(/a$/, 'b');
  const tap = outer.replace(/a$/, 't');
  await removeProbePort(migrationId, user);
  try {
    const own = ['address', portMac(outer), ...(await mtuOf(at.bridge))];
    await must(['link', 'add', outer, ...own, 'type', 'veth', 'peer', 'name', inner], signal);
    await Promise.all([outer, inner].map(quiet));
    await join(outer, at, signal);
    await must(['link', 'set', inner, 'up'], signal);
    const mode = ['mode', 'passthru'];
    await must(['link', 'add', 'link', inner, 'name', tap, 'type', 'macvtap', ...mode], signal);
    await quiet(tap);
    await must(['link', 'set', tap, 'up'], signal);
    await mustForward(outer, signal);
    const mac = (await readFile(`/sys/class/net/${tap}/address`, 'utf8')).trim();
    const file = await openTap(tap);
    return {
      mac,
      send: async (frame) => {
        await file.write(Buffer.concat([Buffer.alloc(HEADER_BYTES), frame]));
      },
      receive: async () => receive(file.fd),
      close: async () => {
        await file.close();
        await removeProbePort(migrationId, user);
      },
    };
  } catch (thrown) {
    await removeProbePort(migrationId, user);
    throw thrown;
  }
}

async function join(port: string, at: Segment, signal: AbortSignal): Promise<void> {
  if (at.kind === 'ovs') {
    await must(['link', 'set', port, 'up'], signal);
    return carryOn([plugStep(port, at)], signal);
  }
  await must(['link', 'set', port, 'master', at.bridge, 'up'], signal);
  return carryOn(vlanSteps(port, at.vlan), signal);
}

/** Nothing when there is none. Never rejects: a port of ours is silent by itself. */
export async function removeProbePort(migrationId: string, user: ProbeUser = 'p'): Promise<void> {
  const outer = probePortName(migrationId, user);
  // At once, since nearly always there is none.
  if (existsSync(`/sys/class/net/${outer}`)) await removeLink(outer);
}

/** Those of watches: of processes that were killed, when an agent starts, since watches end with their agent. */
export async function removeWatchPorts(): Promise<void> {
  const links = await readdir('/sys/class/net').catch(() => []);
  const left = links.filter((name) => /^gw[0-9a-f]{8}wa$/.test(name));
  await Promise.all(left.map(removeLink));
}

async function removeLink(name: string): Promise<void> {
  await unplug(name, AbortSignal.timeout(CLEAN_MS)).catch(() => undefined);
  await ip(['link', 'del', 'dev', name], AbortSignal.timeout(CLEAN_MS)).catch(() => undefined);
}

/** A bridge that was given no MTU takes the smallest of its ports', and the host would have to send smaller frames. */
async function mtuOf(bridge: string): Promise<string[]> {
  const text = await readFile(`/sys/class/net/${bridge}/mtu`, 'utf8').catch(() => '');
  return text === '' ? [] : ['mtu', text.trim()];
}

/** This host's own IPv6 has no business on it. */
async function quiet(link: string): Promise<void> {
  await writeFile(`/proc/sys/net/ipv6/conf/${link}/disable_ipv6`, '1').catch(() => undefined);
}

async function must(words: readonly string[], signal: AbortSignal): Promise<void> {
  const { status, reason } = await ip(words, signal);
  if (status !== 0) throw lacks(`a port to ask from: ${reason}`);
}

/**
 * A bridge that speaks the spanning tree protocol lets nothing through a new port for half a minute. Any bridge hears of
 * the port's carrier a moment later than we do, when the host is busy.
 */
async function mustForward(port: string, signal: AbortSignal): Promise<void> {
  const until = systemClock.monotonicMs() + CARRIER_MS;
  for (;;) {
    const text = await readFile(`/sys/class/net/${port}/brport/state`, 'utf8').catch(() => '3');
    const state = text.trim();
    if (state === FORWARDING) return;
    if (state !== DISABLED || systemClock.monotonicMs() > until) break;
    await systemClock.sleep(CARRIER_LOOK_MS, signal);
  }
  throw lacks('a bridge that forwards from a new port at once');
}

/** Its file. Only one of two network namespaces can have it under /dev by its number. */
async function openTap(tap: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_NONBLOCK;
  const device = (await readdir(`/sys/class/net/${tap}`)).find((name) => /^tap\d+$/.test(name));
  if (device === undefined) throw lacks('the file of a macvtap');
  const number = (await readFile(`/sys/class/net/${tap}/${device}/dev`, 'utf8')).trim();
  const file = `/dev/${device}`;
  if (await isDevice(file, number)) return open(file, flags);
  const own = `/dev/${tap}`;
  await makeNode(own, number);
  try {
    return await open(own, flags);
  } finally {
    await rm(own, { force: true });
  }
}

async function isDevice(file: string, number: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  if (found === undefined || !found.isCharacterDevice()) return false;
  const [major, minor] = number.split(':').map(Number);
  return (
    ((found.rdev >> 8) & 0xfff) === major &&
    ((found.rdev & 0xff) | ((found.rdev >> 12) & 0xfff00)) === minor
  );
}

async function makeNode(file: string, number: string): Promise<void> {
  const [major = '', minor = ''] = number.split(':');
  await promisify(execFile)('mknod', ['-m', '600', file, 'c', major, minor]).catch(
    (cause: unknown) => {
      throw lacks(`the device ${number} under /dev`, cause);
    },
  );
}

/** Never waits: the file is opened so, and to look at it from another thread would cost more than the look. */
function receive(fd: number): Buffer | undefined {
  try {
    const bytes = readSync(fd, buffer, 0, LARGEST, null);
    return bytes > HEADER_BYTES ? Buffer.from(buffer.subarray(HEADER_BYTES, bytes)) : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}

function lacks(what: string, cause?: unknown): Error {
  return godwitError('GODWIT_HOST_LACKS', { what }, { cause });
}

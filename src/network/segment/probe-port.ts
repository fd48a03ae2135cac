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
 * A port of this process in a guest's segment, to send and receive frames. It uses a macvtap, which is a file and so
 * needs no other program, unlike a packet socket. The macvtap is on one end of a veth pair with its other end in the
 * bridge, so that questions enter like a guest's frames.
 */
export interface ProbePort {
  readonly mac: string;
  send(frame: Buffer): Promise<void>;
  /** Next frame; undefined if there is none now. */
  receive(): Promise<Buffer | undefined>;
  close(): Promise<void>;
}

export interface Segment {
  readonly kind: 'bridge' | 'ovs';
  readonly bridge: string;
  readonly vlan?: PortVlan | undefined;
}

/** virtio header before each frame; all zero for a complete frame. */
const HEADER_BYTES = 10;
const LARGEST = 2048;
const buffer = Buffer.alloc(LARGEST);
const CLEAN_MS = 5000;
/** Bridge port states (linux/if_bridge.h); disabled until the bridge has seen the carrier. */
const DISABLED = '0';
const FORWARDING = '3';
const CARRIER_MS = 2000;
const CARRIER_LOOK_MS = 5;

/** Opened by a mover for one question, or by a watch. */
export type ProbeUser = 'p' | 'w';

/** Name of the bridge's end; removing it removes the whole probe. */
function probePortName(migrationId: string, user: ProbeUser = 'p'): string {
  return tapName(migrationId, 0).replace(/n0$/, `${user}a`);
}

/** Opens it in a NIC's current or future segment. GODWIT_HOST_LACKS if this host cannot. */
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

/** Idempotent. Never rejects, because a remaining port is silent. */
export async function removeProbePort(migrationId: string, user: ProbeUser = 'p'): Promise<void> {
  const outer = probePortName(migrationId, user);
  // Synchronous, because there is almost never one.
  if (existsSync(`/sys/class/net/${outer}`)) await removeLink(outer);
}

/** Removes remaining watch ports at an agent's start, since watches end with their agent. */
export async function removeWatchPorts(): Promise<void> {
  const links = await readdir('/sys/class/net').catch(() => []);
  const left = links.filter((name) => /^gw[0-9a-f]{8}wa$/.test(name));
  await Promise.all(left.map(removeLink));
}

async function removeLink(name: string): Promise<void> {
  await unplug(name, AbortSignal.timeout(CLEAN_MS)).catch(() => undefined);
  await ip(['link', 'del', 'dev', name], AbortSignal.timeout(CLEAN_MS)).catch(() => undefined);
}

/**
 * MTU for the new port, as the bridge's: a bridge without a setting takes its ports' minimum, and the host would send
 * smaller frames.
 */
async function mtuOf(bridge: string): Promise<string[]> {
  const text = await readFile(`/sys/class/net/${bridge}/mtu`, 'utf8').catch(() => '');
  return text === '' ? [] : ['mtu', text.trim()];
}

/** Disables this host's IPv6 on it. */
async function quiet(link: string): Promise<void> {
  await writeFile(`/proc/sys/net/ipv6/conf/${link}/disable_ipv6`, '1').catch(() => undefined);
}

async function must(words: readonly string[], signal: AbortSignal): Promise<void> {
  const { status, reason } = await ip(words, signal);
  if (status !== 0) throw lacks(`a port to ask from: ${reason}`);
}

/**
 * The spanning tree protocol blocks a new port for half a minute. Any bridge may notice the port's carrier late on a
 * busy host.
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

/** Opens its device file. Only one of two network namespaces can have it under /dev by its number. */
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

/** Synchronous and non-blocking; another thread would cost more. */
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

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { systemClock } from '../src/clock.ts';
import { withDeadline } from '../src/deadline.ts';
import { cacheDirectory } from '../src/system/files/cache-directory.ts';
import { runCommand } from '../lab/command.ts';
import { containerLayer } from '../lab/container/layer.ts';
import { containerNetns, runcRoot } from '../lab/container/places.ts';
import { labGuest } from '../lab/guest/registry.ts';
import { HOST_BRIDGE, tapName } from '../lab/plan.ts';
import { labHost, type Lab } from '../lab/state.ts';

/**
 * What an administrator does who moves a container with runc and CRIU alone and knows how: its memory to a page server of
 * CRIU at the destination (`pages`), or a dump that is copied (`copy`). The image is at the destination already; what was
 * written above it is copied with the dump. Nothing is encrypted.
 */
export type HandWay = 'pages' | 'copy';

export interface HandContainerMove {
  readonly lab: Lab;
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly way: HandWay;
  readonly signal: AbortSignal;
}

/** Away from the ports that an agent hands out. */
const PAGES_PORT = 45_010;
const COPY_PORT = 45_011;
const STEP_MS = 180_000;
/** As Godwit says to CRIU: the port is taken from the network in place of firewall rules. */
const SETTINGS = 'network-lock skip\nfile-locks\n';
/** Takes in one connection, and ends with it. */
const RECEIVE = `require('net').createServer((s) => {
  s.pipe(process.stdout);
  s.on('end', () => process.stdout.write('', () => process.exit(0)));
}).listen(${COPY_PORT}, process.argv[1])`;

interface Place {
  readonly root: string;
  readonly box: string;
  readonly images: string;
  readonly bundle: string;
  /** Of the container. */
  readonly netns: string;
  readonly namespace: string;
  readonly address: string;
}

/** Resolves with what it took until the container ran at the destination and was announced, ms. Tidies up after that. */
export async function moveContainerByHand(move: HandContainerMove): Promise<number> {
  const { lab, guest, way } = move;
  const { index, mac, address } = await labGuest(lab, guest);
  const [here, there] = [placeOf(move, move.from), placeOf(move, move.to)];
  const port = tapName(index);
  await mkdir(there.images, { recursive: true });
  const pages = way === 'pages' ? await pageServer(move, there) : undefined;
  const files = await receiver(move, there);
  const start = systemClock.monotonicMs();
  await prepare(here, there, { port, mac, address: `${address}/24` });
  await mkdir(here.images, { recursive: true });
  await runCommand(['ip', '-n', here.namespace, 'link', 'set', port, 'down']);
  const server = pages === undefined ? [] : ['--page-server', `${there.address}:${PAGES_PORT}`];
  const at = (each: Place) => ['--image-path', each.images, '--work-path', each.images];
  await runc(here, ['checkpoint', '--tcp-established', ...server, ...at(here), guest]);
  if (pages !== undefined) await ended(pages, move.signal);
  const send =
    'exec 3<>"/dev/tcp/$0/$1"; tar --xattrs --numeric-owner -C "$2" -cf - images upper >&3';
  const words = [send, there.address, String(COPY_PORT), here.box];
  await inside(here, ['bash', '-c', ...words]);
  await ended(files, move.signal);
  const restore = ['restore', '-d', '--tcp-established', ...at(there), '--bundle', there.bundle];
  await runc(there, [...restore, guest]);
  await runCommand(['ip', '-n', there.namespace, 'link', 'set', port, 'up']);
  // Its own address set again: the kernel announces it.
  await runCommand(['ip', '-n', there.netns, 'link', 'set', 'eth0', 'address', mac]);
  const tookMs = systemClock.monotonicMs() - start;
  await systemClock.sleep(50, move.signal);
  await runCommand(['ip', '-n', there.netns, 'link', 'set', 'eth0', 'address', mac]);
  await tidy(here, there, guest);
  return tookMs;
}

function placeOf({ lab, guest }: HandContainerMove, host: string): Place {
  const { stateDir, namespace, address } = labHost(lab, host);
  const box = path.join(stateDir, 'boxes', guest);
  const own = containerNetns(lab.name, guest);
  // It was started on a: the lab gave that namespace its name.
  const netns = host === 'a' ? own : `${own}-${host}`;
  const [images, bundle] = [path.join(box, 'images'), path.join(box, 'bundle')];
  return { root: runcRoot(stateDir), box, images, bundle, netns, namespace, address };
}

const config = z.looseObject({
  linux: z.looseObject({
    cgroupsPath: z.string(),
    namespaces: z.array(z.looseObject({ type: z.string() })),
  }),
});

/** The bundle with its overlay, and the network namespace, whose port is down. */
async function prepare(
  here: Place,
  there: Place,
  nic: { readonly port: string; readonly mac: string; readonly address: string },
): Promise<void> {
  const given = config.parse(
    JSON.parse(await readFile(path.join(here.bundle, 'config.json'), 'utf8')),
  );
  const namespaces = given.linux.namespaces.map((each) =>
    each.type === 'network' ? { ...each, path: `/run/netns/${there.netns}` } : each,
  );
  const own = `${given.linux.cgroupsPath.replace(/\.[a-z]$/, '')}.${path.basename(path.dirname(path.dirname(path.dirname(there.box))))}`;
  const linux = { ...given.linux, cgroupsPath: own, namespaces };
  const [rootfs, upper] = [path.join(there.bundle, 'rootfs'), path.join(there.box, 'upper')];
  const work = path.join(there.box, 'overlay');
  for (const each of [rootfs, upper, work]) await mkdir(each, { recursive: true });
  await writeFile(path.join(there.bundle, 'config.json'), JSON.stringify({ ...given, linux }));
  const options = `lowerdir=${await containerLayer()},upperdir=${upper},workdir=${work}`;
  await runCommand(['mount', '-t', 'overlay', 'overlay', '-o', options, rootfs]);
  const { netns, namespace } = there;
  const ip = (...words: string[]) => runCommand(['ip', ...words]);
  await ip('netns', 'add', netns);
  await ip('-n', netns, 'link', 'set', 'lo', 'up');
  const peer = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', netns];
  await ip('-n', namespace, 'link', 'add', nic.port, ...peer);
  await ip('-n', namespace, 'link', 'set', nic.port, 'master', HOST_BRIDGE);
  await ip('-n', netns, 'link', 'set', 'eth0', 'address', nic.mac);
  await ip('-n', netns, 'addr', 'add', nic.address, 'dev', 'eth0');
  await ip('-n', netns, 'link', 'set', 'eth0', 'up');
  await ip('netns', 'exec', netns, 'sysctl', '-qw', 'net.ipv4.conf.eth0.arp_notify=1');
}

/** In the network namespace of a host, among the mounts of this process. */
function within({ namespace }: Place, argv: readonly string[]): string[] {
  return ['nsenter', `--net=/run/netns/${namespace}`, ...argv];
}

function inside(place: Place, argv: readonly string[]): Promise<string> {
  return runCommand(within(place, argv), { deadlineMs: STEP_MS });
}

/** CRIU reads its settings in its user's directory, and runc finds it on the PATH. */
async function withPrograms({ box }: Place, argv: readonly string[]): Promise<string[]> {
  const programs = path.join(cacheDirectory(), 'containers', 'bin');
  await mkdir(path.join(box, '.criu'), { recursive: true });
  await writeFile(path.join(box, '.criu', 'default.conf'), SETTINGS);
  return ['env', `HOME=${box}`, `PATH=${programs}:${process.env['PATH']}:/usr/sbin:/sbin`, ...argv];
}

async function runc(place: Place, words: readonly string[]): Promise<void> {
  const log = ['--log', path.join(place.box, 'runc.log')];
  const argv = await withPrograms(place, ['runc', ...log, '--root', place.root, ...words]);
  // A restored container has the standard streams of runc.
  const script = 'exec "$0" "$@" </dev/null >/dev/null 2>/dev/null';
  await inside(place, ['sh', '-c', script, ...argv]);
}

interface Listener {
  /** Resolves once it has taken in all that came. */
  readonly ended: Promise<void>;
}

function ended({ ended: work }: Listener, signal: AbortSignal): Promise<void> {
  return withDeadline('what was sent to be taken in', STEP_MS, signal, () => work);
}

async function pageServer(move: HandContainerMove, there: Place): Promise<Listener> {
  const at = [
    '--images-dir',
    there.images,
    '--address',
    there.address,
    '--port',
    String(PAGES_PORT),
  ];
  const argv = ['criu', 'page-server', ...at];
  return listener(move, there, await withPrograms(there, argv), PAGES_PORT);
}

function receiver(move: HandContainerMove, there: Place): Promise<Listener> {
  const script = '"$0" -e "$1" "$2" | tar --xattrs --numeric-owner -C "$3" -xf -';
  const words = [process.execPath, RECEIVE, there.address, there.box];
  return listener(move, there, ['sh', '-c', script, ...words], COPY_PORT);
}

async function listener(
  { signal }: HandContainerMove,
  place: Place,
  argv: readonly string[],
  port: number,
): Promise<Listener> {
  const [program = '', ...args] = within(place, argv);
  const child = spawn(program, args, { stdio: 'ignore' });
  const ended = once(child, 'exit').then(([code]) => {
    if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${String(code)}`);
  });
  ended.catch(() => {});
  await withDeadline(`port ${port}`, 20_000, signal, async (inner) => {
    while (!(await inside(place, ['ss', '-Hltn', `sport = :${port}`])).includes(`:${port}`)) {
      if (child.exitCode !== null) await ended;
      await systemClock.sleep(10, inner);
    }
  });
  return { ended };
}

async function tidy(here: Place, there: Place, guest: string): Promise<void> {
  await runc(here, ['delete', '--force', guest]);
  await runCommand(['umount', path.join(here.bundle, 'rootfs')]);
  await runCommand(['ip', 'netns', 'delete', here.netns]);
  await rm(here.box, { recursive: true });
  await rm(there.images, { recursive: true });
}

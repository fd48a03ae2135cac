import { execFile } from 'node:child_process';
import { mkdirSync, copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { cacheDirectory } from '../../../src/system/files/cache-directory.ts';
import { until } from '../../until.ts';
import { openCleanRoot, type CleanRoot } from './clean-root.ts';

/** Hosts as a new user has them: a clean Debian 13 with a QEMU each, in networks of their own that meet at one bridge. */

const run = promisify(execFile);
const START_MS = 60_000;
const PID_FILE = '/run/agent-of-the-test.pid';
const KERNEL = '/boot/vmlinuz-guest';
const kernelManifest = z.object({ vmlinuz: z.string() });

export interface CleanHost extends CleanRoot {
  readonly name: string;
  readonly address: string;
  /** Runs a line that must succeed, and gives what it printed. */
  does(line: string): Promise<string>;
  /** Starts a program that lives on, as systemd would: with its output in a file. */
  begins(line: string): Promise<void>;
  stopAgent(): Promise<void>;
  agentPid(): Promise<number>;
}

export interface CleanHosts {
  readonly hosts: readonly CleanHost[];
  /** Every command that was typed, with its host. */
  readonly typed: readonly string[];
  host(name: string): CleanHost;
  /** Types a line as a person would: it is counted. */
  type(name: string, line: string): Promise<string>;
  /** Types what enables and starts the agent's unit; where no systemd runs, the agent is begun by hand. */
  start(name: string): Promise<void>;
  close(): Promise<void>;
}

/** The package lies on each host as /godwit.deb. */
export async function openCleanHosts(names: readonly string[], deb: string): Promise<CleanHosts> {
  const opened: CleanRoot[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((each) => each.close()));
  };
  try {
    for (const _ of names) opened.push(await openCleanRoot('trixie'));
    await connect(opened);
  } catch (error) {
    await close();
    throw error;
  }
  const hosts = opened.map((root, at) => hostOf(root, names[at] ?? '', at));
  for (const { folder } of hosts) {
    copyFileSync(deb, path.join(folder, 'godwit.deb'));
    putKernel(folder);
  }
  const typed: string[] = [];
  const host = (name: string): CleanHost => {
    const found = hosts.find((each) => each.name === name);
    if (found === undefined) throw new RangeError(`there is no host ${name}`);
    return found;
  };
  const type = (name: string, line: string): Promise<string> => {
    typed.push(`${name}: ${line}`);
    return host(name).does(line);
  };
  const start = async (name: string): Promise<void> => {
    typed.push(`${name}: systemctl enable --now godwit-agent`);
    await startAgentOf(host(name));
  };
  return { hosts, typed, host, type, start, close };
}

const addressOf = (at: number): string => `10.77.0.${at + 1}`;

function hostOf(root: CleanRoot, name: string, at: number): CleanHost {
  const does = async (line: string): Promise<string> => {
    const { exit, out } = await root.run(line);
    if (exit !== 0) throw new Error(`${name}: ${line}: exit ${exit}: ${out}`);
    return out;
  };
  const begins = async (line: string): Promise<void> => {
    await does(`setsid ${line} >>/var/log/begun.log 2>&1 </dev/null &`);
  };
  const stopAgent = async (): Promise<void> => {
    // Nobody reaps it here: it has ended once it is a zombie.
    await does(`pid=$(cat ${PID_FILE}) && kill $pid
      while [ -e /proc/$pid ] && ! grep -q '^State:.Z' /proc/$pid/status; do sleep 0.1; done`);
  };
  const agentPid = async (): Promise<number> => Number(await does(`cat ${PID_FILE}`));
  return { ...root, name, address: addressOf(at), does, begins, stopAgent, agentPid };
}

/** The first host's network has the bridge; every other one has a cable to it. */
async function connect(roots: readonly CleanRoot[]): Promise<void> {
  const [hub, ...others] = roots;
  if (hub === undefined) return;
  const inside = (root: CleanRoot, ...argv: string[]) =>
    run('nsenter', ['-t', String(root.pid), '-n', 'ip', ...argv]);
  await inside(hub, 'link', 'add', 'br0', 'type', 'bridge');
  await inside(hub, 'addr', 'add', `${addressOf(0)}/24`, 'dev', 'br0');
  await inside(hub, 'link', 'set', 'br0', 'up');
  for (const [index, other] of others.entries()) {
    const [cable, at] = [`port${index}`, index + 1];
    const peer = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', String(other.pid)];
    await inside(hub, 'link', 'add', cable, ...peer);
    await inside(hub, 'link', 'set', cable, 'master', 'br0', 'up');
    await inside(other, 'addr', 'add', `${addressOf(at)}/24`, 'dev', 'eth0');
    await inside(other, 'link', 'set', 'eth0', 'up');
    await inside(other, 'route', 'add', 'default', 'via', addressOf(0));
  }
  await inside(hub, 'route', 'add', 'default', 'dev', 'br0');
}

function putKernel(folder: string): void {
  const manifest = path.join(cacheDirectory(), 'guest/kernel/manifest.json');
  const { vmlinuz } = kernelManifest.parse(JSON.parse(readFileSync(manifest, 'utf8')));
  mkdirSync(path.join(folder, 'boot'), { recursive: true });
  copyFileSync(vmlinuz, path.join(folder, KERNEL));
}

/** A guest as a person starts one by hand: a kernel that waits for its root, which fills some tens of MiB of memory. */
export async function startPlainGuest(host: CleanHost, name: string): Promise<void> {
  await host.does('mkdir -p /run/guests');
  const socket = `/run/guests/${name}.sock`;
  await host.begins(
    `qemu-system-x86_64 -name ${name} -machine q35 -accel tcg -cpu qemu64 -m 128M -nodefaults -no-user-config ` +
      `-display none -qmp unix:${socket},server=on,wait=off -kernel ${KERNEL} -append 'root=/dev/none rootwait'`,
  );
  await until(`${name} on ${host.name}`, START_MS, async () => {
    const { exit } = await host.run(`test -S ${socket}`);
    return exit === 0 || undefined;
  });
}

/** Begins the agent of a host as its unit would, and waits until it answers. */
export async function startAgentOf(host: CleanHost): Promise<void> {
  await host.begins(`sh -c 'echo $$ > ${PID_FILE}; exec /usr/bin/godwit serve agent'`);
  await until(`the agent of ${host.name}`, START_MS, async () => {
    const { exit } = await host.run('godwit hosts');
    return exit === 0 || undefined;
  });
}

/** Upgrades the package and begins its agent anew, as the package does where systemd runs: movers and guests live on. */
export async function upgrade(host: CleanHost, deb: string): Promise<void> {
  await host.does(`dpkg -i --force-downgrade ${deb}`);
  await host.stopAgent();
  await startAgentOf(host);
  await host.does('/usr/lib/godwit/place.sh prune');
}

/** The same package as another build of a later version, as /next.deb. */
export async function makeNext(host: CleanHost): Promise<void> {
  await host.does(`dpkg-deb -R /godwit.deb /next && echo 0000000000000000 > /next/usr/lib/godwit/app/BUILD
    rm /next/DEBIAN/md5sums && sed -i 's/^Version: .*/Version: 9.9.9/' /next/DEBIAN/control
    dpkg-deb -Znone -b /next /next.deb && rm -r /next`);
}

const KNOWN_MS = 120_000;

/** Until one host's agent has another one for up. */
export async function untilKnown(at: CleanHost, host: string): Promise<void> {
  await until(`${at.name} to know ${host}`, KNOWN_MS, async () => {
    const { out } = await at.run('godwit hosts');
    return new RegExp(`^${host} .*up`, 'm').test(out) || undefined;
  });
}

/** Types what makes the first host one: the package, its set-up, its agent. */
export async function setUpFirst(world: CleanHosts, name: string): Promise<void> {
  for (const each of world.hosts) await each.does('mkdir -p /srv/images');
  await world.type(name, 'dpkg -i /godwit.deb');
  const { address } = world.host(name);
  await world.type(name, `godwit init ${name} --address ${address} --storage /srv/images`);
  await world.start(name);
}

/** Types what makes a further one: the package, the token of the first, the set-up with it, its agent. */
export async function addHost(world: CleanHosts, first: string, name: string): Promise<void> {
  await world.type(name, 'dpkg -i /godwit.deb');
  const { address } = world.host(name);
  const said = await world.type(first, `godwit invite ${name} --addresses ${address}`);
  const token = /^gwj1\/.+$/m.exec(said)?.[0] ?? '';
  await world.type(name, `godwit join - <<'END'\n${token}\nEND`);
  await world.start(name);
  await untilKnown(world.host(first), name);
}

/** A lab of two hosts, with storage of each and storage that both see, and a fresh guest for each run. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startAgents, stopAgent } from '../lab/agents.ts';
import { labDown } from '../lab/down.ts';
import { inHost } from '../lab/entry.ts';
import { labEnvironment } from '../lab/environment.ts';
import { guestFiles } from '../lab/guest/argv.ts';
import { startDetached } from '../lab/processes.ts';
import { labHost, readLabState, type Lab } from '../lab/state.ts';
import { labUp } from '../lab/up.ts';
import { isAlive } from '../src/system/processes/process.ts';
import { agentContract } from '../src/protocol/contract.ts';
import { client, type Api, type Client } from '../src/rpc/client.ts';
import { removeGuest, restore, type BootedGuest, type BootedGuests } from './booted.ts';
import type { Ground, StagedDisk, StagedGuest } from './ground.ts';
import { sweep } from './hands.ts';
import type { Scene } from './plan.ts';
import { labDirectory, labNames } from '../src/cli/connection/labs.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
export const PREFIX = 'meddle-';
const OWN_STORAGE = '160M';
const AGENT = fileURLToPath(new URL('../src/bin/agent.ts', import.meta.url));
const START_MS = 60_000;
const LOOK_MS = 50;

export class Stage implements Ground {
  readonly lab: Lab;
  readonly from = 'a';
  readonly to = 'b';
  readonly #booted: BootedGuests;
  readonly #taps = new Map<string, string>();
  readonly #clients = new Map<string, Client<typeof agentContract>>();

  private constructor(lab: Lab, booted: BootedGuests) {
    this.lab = lab;
    this.#booted = booted;
  }

  /** `lane`: of several stages side by side. What guests boot to is the same on all of them. */
  static async open(lane: number, booted: BootedGuests): Promise<Stage> {
    const name = `${PREFIX}${process.pid.toString(36)}${lane}`;
    const lab = await labUp({ name, storage: 'shared', agents: false });
    try {
      await makeOwnStorage(lab);
      await startAgents(lab, () => ({
        storage: ['storage', 'own'].map((each) => ({ path: path.join(lab.dir, each) })),
      }));
      await startAmongMounts(lab);
      return new Stage(lab, booted);
    } catch (error) {
      await removeOwnStorage(lab.dir);
      await labDown(name);
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const each of this.#clients.values()) each.close();
    await removeOwnStorage(this.lab.dir);
    await labDown(this.lab.name);
  }

  agent(host: string): Api<typeof agentContract> {
    return agentOf(this.lab, host, this.#clients);
  }

  /** Directory of a guest on a host, with its monitors. */
  guestDirectory(host: string, guest: string): string {
    return path.dirname(
      guestFiles(path.join(labHost(this.lab, host).stateDir, 'guests', guest)).qmp,
    );
  }

  /** The storage of one host alone, as this machine sees it; each host sees its own at the same path. */
  ownStorage(host: string): string {
    return host === this.from ? path.join(this.lab.dir, 'own') : destinationStorage(this.lab);
  }

  fileOn(_host: string, file: string): string {
    return file;
  }

  /** A guest that has just booted, with the disks of the scene. */
  async boot(name: string, scene: Scene): Promise<StagedGuest> {
    const own = path.join(this.lab.dir, 'storage', `${name}-own`);
    await mkdir(own, { recursive: true });
    // Hypervisors at the destination run as users of their own.
    await chmod(own, 0o777);
    const [medium, otherMedium] = ['first.iso', 'second.iso'].map((file) => path.join(own, file));
    await writeFile(medium ?? '', Buffer.alloc(MIB, 'first medium '));
    await writeFile(otherMedium ?? '', Buffer.alloc(MIB, 'second medium'));
    const booted = await this.#booted.of(scene.layout !== 'none', this.lab);
    const disks = await this.#copyDisks(name, scene, own, booted);
    const restored = await restore(this.lab, booted, {
      name,
      host: this.from,
      disks: disks.map(({ file }) => file),
      medium: medium ?? '',
      scene,
    });
    const { tap, ...guest } = restored;
    this.#taps.set(name, tap);
    const devices = ['nic0', 'balloon0', 'cd0-dev'];
    const media = { medium: medium ?? '', otherMedium: otherMedium ?? '' };
    return { ...guest, disks, devices, own, ...media };
  }

  async remove({ name, own }: StagedGuest): Promise<void> {
    const tap = this.#taps.get(name) ?? '';
    await removeGuest(this.lab, name, { host: this.from, tap });
    sweep(own);
    for (const host of this.lab.hosts) sweep(path.join(this.ownStorage(host), name));
  }

  async #copyDisks(
    name: string,
    { layout }: Scene,
    own: string,
    booted: BootedGuest,
  ): Promise<StagedDisk[]> {
    if (layout === 'none') return [];
    const local = path.join(this.ownStorage(this.from), name);
    const shared = { directory: own, isShared: true };
    const alone = { directory: local, isShared: false };
    await mkdir(local, { recursive: true, mode: 0o711 });
    const places = {
      shared: [shared, shared],
      local: [alone, alone],
      mixed: [alone, shared],
    }[layout];
    const made: StagedDisk[] = [];
    for (const [index, { directory, isShared }] of places.entries()) {
      const from = booted.disks[index] ?? '';
      const file = path.join(directory, path.basename(from));
      await run('cp', ['--sparse=always', from, file]);
      made.push({ id: `disk${index}-dev`, file, isShared });
    }
    return made;
  }
}

/** Storage of each host alone is a small file system of its own, which its owner can fill. */
async function makeOwnStorage(lab: Lab): Promise<void> {
  for (const [index, place] of [path.join(lab.dir, 'own'), destinationStorage(lab)].entries()) {
    const image = path.join(lab.dir, `own${index}.img`);
    await mkdir(place, { recursive: true, mode: 0o711 });
    await run('truncate', ['-s', OWN_STORAGE, image]);
    await run('mkfs.ext4', ['-q', '-m', '0', '-O', '^has_journal', image]);
    await run('mount', ['-o', 'loop', image, place]);
    await chmod(place, 0o711);
  }
}

async function removeOwnStorage(dir: string): Promise<void> {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const places = mounts.flatMap((line) => line.split(' ')[1] ?? []);
  for (const place of places.filter((each) => each.startsWith(`${dir}/`)))
    await run('umount', ['-l', place]);
}

function destinationStorage({ dir }: Lab): string {
  return path.join(dir, 'hosts', 'b', 'own');
}

/** Restarts the destination's agent among mounts of its own, where another directory lies at the path of local storage. */
async function startAmongMounts(lab: Lab): Promise<void> {
  const own = path.join(lab.dir, 'own');
  const there = destinationStorage(lab);
  await stopAgent(lab, 'b');
  const { configFile, agentLog, agentSocket } = labHost(lab, 'b');
  const agent = [process.execPath, AGENT, '--config', configFile];
  const words = 'mount --bind "$1" "$2" && shift 2 && exec "$@"';
  const argv = ['unshare', '--mount', 'bash', '-c', words, 'bash', there, own, ...agent];
  await startDetached(inHost(lab, 'b', argv), { logFile: agentLog, env: labEnvironment(lab) });
  for (let left = START_MS; left > 0; left -= LOOK_MS) {
    if (await isServing(agentSocket)) return;
    await sleep(LOOK_MS);
  }
  throw new Error(`the agent of b does not start; see ${agentLog}`);
}

async function isServing(unix: string): Promise<boolean> {
  const asked = client(agentContract, { unix, peer: 'the agent of b' });
  try {
    return (await asked.api.health()).ok;
  } catch {
    return false;
  } finally {
    asked.close();
  }
}

/** Takes down what a run that was killed has left. */
export async function clearDebris(): Promise<void> {
  for (const name of await labNames()) {
    if (!name.startsWith(PREFIX)) continue;
    const state = await readLabState(name).catch(() => undefined);
    if (state === undefined || isAlive(state.builder)) continue;
    await removeOwnStorage(labDirectory(name));
    await labDown(name);
  }
}

/** A client of a host's agent, made once. */
export function agentOf(
  lab: Lab,
  host: string,
  clients: Map<string, Client<typeof agentContract>>,
): Api<typeof agentContract> {
  const unix = labHost(lab, host).agentSocket;
  const found = clients.get(host) ?? client(agentContract, { unix, peer: `the agent of ${host}` });
  clients.set(host, found);
  return found.api;
}

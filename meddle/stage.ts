/** A lab of two hosts, with storage of each and storage that both see, and a fresh guest for each run. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startAgents, stopAgent } from '../src/lab/agents.ts';
import { labDown } from '../src/lab/down.ts';
import { inHost } from '../src/lab/entry.ts';
import { labEnvironment } from '../src/lab/environment.ts';
import { guestFiles } from '../src/lab/guest/argv.ts';
import type { LabGuest } from '../src/lab/guest/registry.ts';
import { startGuest } from '../src/lab/guest/start.ts';
import { stopGuest } from '../src/lab/guest/stop.ts';
import { startDetached } from '../src/lab/processes.ts';
import { labHost, labNames, readLabState, type Lab } from '../src/lab/state.ts';
import { labUp } from '../src/lab/up.ts';
import { isAlive } from '../src/system/processes/process.ts';
import { agentContract } from '../src/protocol/contract.ts';
import { client, type Api, type Client } from '../src/rpc/client.ts';
import { sweep } from './hands.ts';
import type { Scene } from './plan.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
const PREFIX = 'meddle-';
const DISK = '24M';
const SLOTS = 8;
const AGENT = fileURLToPath(new URL('../src/bin/agent.ts', import.meta.url));
const START_MS = 60_000;
const LOOK_MS = 50;

/** A disk as it is at first. */
export interface StagedDisk {
  readonly id: string;
  readonly file: string;
  readonly isShared: boolean;
}

export interface StagedGuest {
  readonly lab: LabGuest;
  readonly disks: readonly StagedDisk[];
  /** A directory of its owner on storage that both hosts see. */
  readonly own: string;
  readonly medium: string;
  readonly otherMedium: string;
}

export class Stage {
  readonly lab: Lab;
  readonly from = 'a';
  readonly to = 'b';
  readonly #clients = new Map<string, Client<typeof agentContract>>();

  private constructor(lab: Lab) {
    this.lab = lab;
  }

  static async open(): Promise<Stage> {
    await clearDebris();
    const name = `${PREFIX}${process.pid.toString(36)}`;
    const lab = await labUp({ name, storage: 'shared', agents: false });
    try {
      await startAgents(lab, () => ({
        storage: ['storage', 'own'].map((each) => ({ path: path.join(lab.dir, each) })),
      }));
      await startAmongMounts(lab);
      return new Stage(lab);
    } catch (error) {
      await labDown(name);
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const each of this.#clients.values()) each.close();
    await labDown(this.lab.name);
  }

  agent(host: string): Api<typeof agentContract> {
    let found = this.#clients.get(host);
    if (found === undefined) {
      const unix = labHost(this.lab, host).agentSocket;
      found = client(agentContract, { unix, peer: `the agent of ${host}` });
      this.#clients.set(host, found);
    }
    return found.api;
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

  async boot(name: string, scene: Scene): Promise<StagedGuest> {
    const own = path.join(this.lab.dir, 'storage', `${name}-own`);
    await mkdir(own, { recursive: true });
    // Hypervisors at the destination run as users of their own.
    await chmod(own, 0o777);
    const medium = path.join(own, 'first.iso');
    const otherMedium = path.join(own, 'second.iso');
    await writeFile(medium, Buffer.alloc(MIB, 'first medium '));
    await writeFile(otherMedium, Buffer.alloc(MIB, 'second medium'));
    const disks = await this.#makeDisks(name, scene, own);
    const drives = disks.flatMap(({ file, id }) => drive(id.replace('-dev', ''), file));
    const cd = `if=none,id=cd0,media=cdrom,file=${medium},format=raw,readonly=on`;
    const lab = await startGuest(this.lab, {
      name,
      host: this.from,
      memoryBytes: 128 * MIB,
      workingSetBytes: 12 * MIB,
      dirtyBytesPerSecond: MIB,
      machineType: 'pc',
      kernelWords: [`godwit.disks=${disks.length}`, `godwit.diskslots=${SLOTS}`],
      extraArguments: [
        '-smp',
        '1,maxcpus=2',
        ...drives,
        '-drive',
        cd,
        '-device',
        'ide-cd,id=cd0-dev,drive=cd0',
        ...(scene.noShutdown ? ['-no-shutdown'] : []),
      ],
    });
    return { lab, disks, own, medium, otherMedium };
  }

  async remove({ lab, own }: StagedGuest): Promise<void> {
    await stopGuest(this.lab, lab.name);
    sweep(own);
    for (const host of this.lab.hosts) sweep(path.join(this.ownStorage(host), lab.name));
  }

  async #makeDisks(name: string, { layout }: Scene, own: string): Promise<StagedDisk[]> {
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
      const format = index === 0 ? 'raw' : 'qcow2';
      const file = path.join(directory, `disk${index}.${format}`);
      await run('qemu-img', ['create', '-q', '-f', format, file, DISK]);
      made.push({ id: `disk${index}-dev`, file, isShared });
    }
    return made;
  }
}

function destinationStorage({ dir }: Lab): string {
  return path.join(dir, 'hosts', 'b', 'own');
}

/** Restarts the destination's agent among mounts of its own, where another directory lies at the path of local storage. */
async function startAmongMounts(lab: Lab): Promise<void> {
  const own = path.join(lab.dir, 'own');
  const there = destinationStorage(lab);
  for (const each of [own, there]) await mkdir(each, { recursive: true, mode: 0o711 });
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

function drive(id: string, file: string): string[] {
  const format = path.extname(file).slice(1);
  const words = `if=none,id=${id},file=${file},format=${format},cache=none,discard=unmap`;
  return ['-drive', words, '-device', `virtio-blk-pci,id=${id}-dev,drive=${id}`];
}

/** Takes down what a run that was killed has left. */
async function clearDebris(): Promise<void> {
  for (const name of await labNames()) {
    if (!name.startsWith(PREFIX)) continue;
    const state = await readLabState(name).catch(() => undefined);
    if (state !== undefined && !isAlive(state.builder)) await labDown(name);
  }
}

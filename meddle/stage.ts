/** A lab of two hosts, with storage of each and storage that both see, and a fresh guest for each run. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { labDown } from '../src/lab/down.ts';
import { guestFiles } from '../src/lab/guest/argv.ts';
import type { LabGuest } from '../src/lab/guest/registry.ts';
import { startGuest } from '../src/lab/guest/start.ts';
import { stopGuest } from '../src/lab/guest/stop.ts';
import type { Lab } from '../src/lab/state.ts';
import { labHost, labNames, readLabState, storageDirectory } from '../src/lab/state.ts';
import { labUp } from '../src/lab/up.ts';
import { isAlive } from '../src/host/process.ts';
import { agentContract } from '../src/protocol/contract.ts';
import { client } from '../src/rpc/client.ts';
import type { Api, Client } from '../src/rpc/client.ts';
import { sweep } from './hands.ts';
import type { Scene } from './plan.ts';

const run = promisify(execFile);
const MIB = 1024 ** 2;
const PREFIX = 'meddle-';
const DISK = '24M';
const SLOTS = 24;

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
    const lab = await labUp({
      name,
      storage: 'local',
      configure: (_host, own) => {
        const [first] = own.storage ?? [];
        return { storage: [...(first === undefined ? [] : [first]), { path: sharedDirectory(own.stateDir) }] };
      },
    });
    return new Stage(lab);
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
    return path.dirname(guestFiles(path.join(labHost(this.lab, host).stateDir, 'guests', guest)).qmp);
  }

  async boot(name: string, scene: Scene): Promise<StagedGuest> {
    const own = path.join(this.lab.dir, 'storage', `${name}-own`);
    await mkdir(own, { recursive: true, mode: 0o711 });
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
        ...['-smp', '1,maxcpus=2'],
        ...drives,
        ...['-drive', cd, '-device', 'ide-cd,id=cd0-dev,drive=cd0'],
        ...(scene.noShutdown ? ['-no-shutdown'] : []),
      ],
    });
    return { lab, disks, own, medium, otherMedium };
  }

  async remove({ lab, own }: StagedGuest): Promise<void> {
    await stopGuest(this.lab, lab.name);
    sweep(own);
    for (const host of this.lab.hosts) sweep(path.join(storageDirectory(this.lab, host), lab.name));
  }

  async #makeDisks(name: string, { layout }: Scene, own: string): Promise<StagedDisk[]> {
    if (layout === 'none') return [];
    const local = path.join(storageDirectory(this.lab, this.from), name);
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

/** `DIR/storage` of `DIR/hosts/a/state`. */
function sharedDirectory(stateDir: string): string {
  return path.join(path.resolve(stateDir, '../../..'), 'storage');
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

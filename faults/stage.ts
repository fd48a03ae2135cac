/** Two hosts (or more) and guests, kept from cell to cell for as long as what a cell left allows. */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { agentsOf, startAgent, startAgents, stopAgent, type Configure } from '../lab/agents.ts';
import { runCommand } from '../lab/command.ts';
import { keepMounts } from '../lab/container/places.ts';
import { startContainer } from '../lab/container/start.ts';
import { labDown } from '../lab/down.ts';
import { removeTap, startGuest } from '../lab/guest/start.ts';
import { stopGuest } from '../lab/guest/stop.ts';
import { readGuestStats, setDirtyRate, verifyGuest } from '../lab/guest/talk.ts';
import { powerProof } from '../lab/power.ts';
import { systemClock } from '../src/clock.ts';

import { labHost, readLabState, storageDirectory, type Lab } from '../lab/state.ts';
import { labUp, withContainers } from '../lab/up.ts';
import { agentContract } from '../src/protocol/contract.ts';
import { labCensus } from '../lab/witness/census.ts';
import { madeNamespaces } from '../lab/witness/containers.ts';
import { seenQemus } from '../lab/witness/qemus.ts';
import { client, type Api, type Client } from '../src/rpc/client.ts';
import { BOX, DISK_MIB as DISK_MIB_OF_BOXES, LOAD } from './containers/plan.ts';
import { DISKS, SLOTS } from './disks/plan.ts';
import { Monitor } from '../lab/witness/monitor.ts';
import type { Memory } from './judge.ts';
import { bareHosts, type HostCensus } from './remains.ts';
import { isAlive } from '../src/system/processes/process.ts';
import { labDirectory, labNames } from '../src/cli/connection/labs.ts';

export type AgentApi = Api<typeof agentContract>;

export interface StageRequest {
  readonly hosts: number;
  readonly lane?: number;
  /** The hosts' state directories on file systems of their own, so small that they can be filled. */
  readonly smallDisks: boolean;
  /** Guests have disks, on storage that is their host's alone and so small that it can be filled. */
  readonly localDisks?: boolean;
  /** Hosts take containers, on file systems of their own that can be filled. */
  readonly containers?: boolean;
  /** Hosts lose their power, which the others prove by a fencing hook; guests have disks on storage that all see. */
  readonly powerCuts?: boolean;
}

/** What QEMU says of the last migration once it may begin another. */
const OVER: ReadonlySet<string> = new Set(['none', 'cancelled', 'completed', 'failed']);
const MIB = 1024 ** 2;
const PREFIX = 'faults-';
/** What the labs of several lanes are called by. */
export const LANES = ['', 'x', 'y', 'z'] as const;
const DISK_MIB = 24;
/** For the disks below, twice, beside each other. */
const STORAGE_MIB = 176;
const WRITES_MS = 20_000;
/** The shortest times that hosts may be configured with, so that a cell is not spent on waiting, ms. */
const SILENCE_MS = 5000;
const SOURCE_SILENCE_MS = 10_000;
/** A lab that has no state for longer than this will never have one. */
const STATELESS_MS = 60_000;

export class Stage {
  readonly lab: Lab;
  readonly bare: readonly HostCensus[];
  /** Where each guest runs. */
  readonly guests = new Map<string, string>();
  readonly #clients = new Map<string, Client<typeof agentContract>>();
  readonly #hashes = new Map<string, string>();
  readonly #rates = new Map<string, number>();
  #asked = new AbortController();

  readonly #disks: typeof DISKS | undefined;

  private constructor(lab: Lab, bare: readonly HostCensus[], disks: typeof DISKS | undefined) {
    this.lab = lab;
    this.bare = bare;
    this.#disks = disks;
  }

  static async open(request: StageRequest): Promise<Stage> {
    const { hosts, smallDisks, localDisks = false, containers = false, lane = 0 } = request;
    const { powerCuts = false } = request;
    await clearDebris();
    const name = `${PREFIX}${process.pid.toString(36)}${LANES[lane] ?? ''}`;
    const mounts = smallDisks || localDisks || containers;
    const storage = localDisks ? 'local' : undefined;
    const configure = powerCuts ? fenced : undefined;
    const lab = await labUp({ name, hosts, storage, agents: !mounts, configure });
    try {
      for (const { stateDir } of containers ? lab.members : []) {
        await mkdir(path.join(stateDir, 'containers'), { recursive: true });
        await mountSmall(path.join(stateDir, 'containers'), DISK_MIB_OF_BOXES);
      }
      for (const { stateDir } of smallDisks ? lab.members : [])
        await mountSmall(stateDir, DISK_MIB);
      for (const host of localDisks ? lab.hosts : []) {
        await mountSmall(storageDirectory(lab, host), STORAGE_MIB);
      }
      const boxes = containers ? await keepMounts(lab) : undefined;
      if (mounts) await startAgents(lab, withContainers(undefined, boxes), undefined);
      const disks = localDisks || powerCuts ? DISKS : undefined;
      return new Stage(lab, await bareHosts(lab), disks);
    } catch (error) {
      await labDown(name);
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const each of this.#clients.values()) each.close();
    const { lab } = this;
    const made = (await Promise.all(lab.hosts.map((host) => madeNamespaces(lab, host)))).flat();
    await labDown(lab.name);
    if (made.length === 0) return;
    const there = new Set((await runCommand(['ip', 'netns', 'list'])).split(/\s+/));
    const left = made.filter((name) => there.has(name));
    if (left.length > 0) throw new Error(`namespaces are left: ${left.join(' ')}`);
  }

  agent(host: string): AgentApi {
    let found = this.#clients.get(host);
    if (found === undefined) {
      const unix = labHost(this.lab, host).agentSocket;
      found = client(agentContract, { unix, peer: `the agent of ${host}` });
      this.#clients.set(host, found);
    }
    return found.api;
  }

  /** Starts a guest, quiet, and keeps the checksum of its memory. */
  async boot(name: string, host: string): Promise<void> {
    await startGuest(this.lab, {
      name,
      host,
      memoryBytes: 144 * MIB,
      workingSetBytes: 24 * MIB,
      dirtyBytesPerSecond: MIB,
      disks: this.#disks,
      kernelWords: this.#disks === undefined ? [] : [`godwit.diskslots=${SLOTS}`],
    });
    this.#rates.set(name, MIB);
    this.guests.set(name, host);
    await this.keepHash(name);
    if (this.#disks !== undefined && !(await this.writesToDisks(name))) {
      throw new Error(`${name} does not write to its disks`);
    }
  }

  /** Starts the container. */
  async bootBox(host: string): Promise<void> {
    await startContainer(this.lab, { name: BOX, host, ...LOAD });
    this.#rates.set(BOX, LOAD.dirtyBytesPerSecond);
    this.guests.set(BOX, host);
    await this.keepHash(BOX);
  }

  /** The checksum of its memory as it is now. */
  async keepHash(name: string): Promise<void> {
    const { ok, hash } = await verifyGuest(this.lab, name);
    if (!ok) throw new Error(`the memory of ${name} is not right to begin with`);
    this.#hashes.set(name, hash);
  }

  /** Removes what is left of a guest, the only one, wherever. */
  async removeGuest(name: string): Promise<void> {
    // What was said to it and not heard must not reach the next guest of its address.
    this.#asked.abort(new Error(`${name} is gone`));
    this.#asked = new AbortController();
    await stopGuest(this.lab, name);
    // A QEMU that has died cannot be asked which tap was its own.
    for (const { host, taps } of await labCensus(this.lab)) {
      for (const tap of taps) await removeTap(this.lab, labHost(this.lab, host), tap);
    }
    this.guests.delete(name);
    this.#rates.delete(name);
  }

  /** Starts a guest anew whose host has died, beside others that go on. */
  async replace(name: string, host: string): Promise<void> {
    await stopGuest(this.lab, name);
    await this.boot(name, host);
  }

  /** Whether its QEMU takes another migration: one whose stream broke at the switch to post-copy never does. */
  async canMove(name: string): Promise<boolean> {
    const qemu = (await seenQemus(this.lab)).find(({ guest }) => guest === name);
    const monitor = await Monitor.connect(qemu?.monitors.at(-1) ?? '');
    const status = (await monitor?.ask('query-migrate'))?.['status'] ?? 'none';
    monitor?.close();
    return typeof status === 'string' && OVER.has(status);
  }

  /** How fast the guest rewrites its memory, bytes/s. */
  async dirty(name: string, bytesPerSecond: number): Promise<void> {
    if (this.#rates.get(name) === bytesPerSecond) return;
    await setDirtyRate(this.lab, name, bytesPerSecond, { signal: this.#asked.signal });
    this.#rates.set(name, bytesPerSecond);
  }

  /**
   * Whether the guest, reading all of it, finds its memory and its disks as they were; `silent` where it has not read all
   * of it in time, which says nothing of either.
   */
  async look(name: string, deadlineMs: number): Promise<Memory> {
    let seen: Awaited<ReturnType<typeof verifyGuest>>;
    try {
      seen = await verifyGuest(this.lab, name, { deadlineMs });
    } catch {
      return 'silent';
    }
    const read = this.#disks === undefined || seen.diskChunks > 0;
    return seen.ok && read && seen.hash === this.#hashes.get(name) ? 'intact' : 'changed';
  }

  /** The same of a guest that was started again: its memory and disks are what it wrote since. */
  async lookAtNew(name: string, deadlineMs: number): Promise<Memory> {
    const seen = await verifyGuest(this.lab, name, { deadlineMs }).catch(() => undefined);
    if (seen === undefined) return 'silent';
    return seen.ok ? 'intact' : 'changed';
  }

  /** Whether the guest writes to its disks and none of them refuses it. */
  async writesToDisks(name: string): Promise<boolean> {
    const start = systemClock.monotonicMs();
    const was = await readGuestStats(this.lab, name);
    while (systemClock.monotonicMs() - start < WRITES_MS) {
      const { diskBytes, diskErrors } = await readGuestStats(this.lab, name);
      if (diskErrors > 0) return false;
      if (diskBytes > was.diskBytes) return true;
      await systemClock.sleep(50);
    }
    return false;
  }

  /** One agent on each host, with nothing loaded before it. */
  async plainAgents(renewed: readonly string[] = []): Promise<void> {
    for (const host of this.lab.hosts) {
      const running = await agentsOf(this.lab, host);
      if (running.length === 1 && !renewed.includes(host)) continue;
      await stopAgent(this.lab, host);
      await startAgent(this.lab, host);
    }
  }
}

/** Of hosts that lose their power. */
const fenced: Configure = (_host, { stateDir }) => ({
  fencing: { command: powerProof(stateDir), silenceMs: SILENCE_MS },
  limits: { sourceSilenceMs: SOURCE_SILENCE_MS },
});

async function mountSmall(directory: string, mib: number): Promise<void> {
  // Guests' QEMUs run as users of their own: they get through, and list nothing.
  const options = `size=${mib}m,mode=0711`;
  await runCommand(['mount', '-t', 'tmpfs', '-o', options, 'faults', directory]);
}

/** Takes down what a run that was killed has left; what another lane or run builds just now is none of it. */
async function clearDebris(): Promise<void> {
  for (const name of await labNames()) {
    if (!name.startsWith(PREFIX)) continue;
    const state = await readLabState(name).catch(() => undefined);
    const living = state === undefined ? await isFresh(name) : isAlive(state.builder);
    if (!living) await labDown(name);
  }
}

/** A lab's directory is there for a moment before the lab's state is. */
async function isFresh(name: string): Promise<boolean> {
  const made = await stat(labDirectory(name)).catch(() => undefined);
  return made !== undefined && Date.now() - made.mtimeMs < STATELESS_MS;
}

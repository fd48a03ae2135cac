import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { systemClock } from '../../../clock.ts';
import { godwitError } from '../../../errors.ts';
import { setPorts } from '../host/network.ts';
import { cgroupOf, identify, processesIn } from '../host/processes.ts';
import type { CriuOptions } from '../options.ts';
import type { PodmanContainer, Records } from '../link/records.ts';
import {
  imageMs,
  Runc,
  type ArrivedFile,
  type RuncState,
  type RestorePlaces,
} from '../runtimes/runc.ts';
import { absent } from '../../../system/ignoring.ts';
import { kill } from '../../../system/processes/process.ts';
import { lifeOf, type BootProcess } from '../../../system/processes/life.ts';
import { endFrozen } from '../tear-down.ts';
import { fillBundle, readBundle, type PodmanBundle } from './bundle.ts';
import { dropFrames, passFrames } from './frame-filter.ts';
import { openLease, untilWritten, type Lease } from './lease.ts';
import { Podman } from './podman.ts';
import { checkRecord } from './record.ts';
import {
  conmonAbove,
  ended,
  isCallWith,
  isConmonBy,
  readParents,
  strangersTo,
} from './processes.ts';
import {
  destinationScript,
  LOG,
  RECORD,
  runtimeConf,
  saidIn,
  SHM,
  sourceScript,
  WAIT_S,
} from './stand-in.ts';

/** podman's state directories of its runtimes. */
const ROOTS = { runc: '/run/runc', crun: '/run/crun' };
/** Time for podman to create record, network and mounts and call its runtime. */
const CALLED_MS = 120_000;
/** A stand-in without its mover ends at once, and podman after it. */
const NEVER = new AbortController().signal;
/** podman may hold the locks of its containers for a while. */
const KNOWN_MS = 20_000;
const ENDING = { byItselfMs: 10_000, mostMs: 40_000 };

const stateSchema = z.object({
  pid: z.number().int(),
  status: z.string(),
  bundle: z.string(),
  rootfs: z.string(),
});

/** podman has called its runtime for an arriving container. */
interface Waiting {
  readonly worker: BootProcess;
  readonly made: PodmanBundle;
}

export interface PodmanDependencies {
  readonly host: string;
  readonly options: CriuOptions;
  readonly records: Records;
  /** Prefix for podman's paths. */
  readonly prefix: string;
}

/**
 * One podman container: its runtime dumps and restores it like runc, and podman keeps its record. The guest's
 * name is Godwit's; podman and the runtime use the container's id.
 */
export class PodmanRuntime extends Runc {
  readonly container: PodmanContainer;
  readonly #deps: PodmanDependencies;
  readonly podman: Podman;

  constructor(deps: PodmanDependencies, container: PodmanContainer) {
    const { id, runtime } = container;
    const target = { program: runtime, root: ROOTS[runtime], idOf: () => id };
    super(deps.host, deps.options, deps.records.directory, target);
    this.container = container;
    this.#deps = deps;
    this.podman = new Podman((argv, options) => this.run(argv, options));
  }

  #places(name: string) {
    const directory = path.join(this.#deps.records.dirOf(name), 'podman');
    const at = (file: string): string => path.join(directory, file);
    return {
      directory,
      standIn: at('oci-runtime'),
      conf: at('runtime.conf'),
      said: at('called'),
      lease: at('lease'),
      archive: at('record.tar'),
    };
  }

  override async state(name: string, signal: AbortSignal): Promise<RuncState | undefined> {
    const { runtime, id } = this.container;
    const state = `${this.#deps.prefix}${ROOTS[runtime]}/${id}`;
    const file = path.join(state, runtime === 'runc' ? 'state.json' : 'status');
    if ((await readFile(file).catch(absent)) === undefined) return undefined;
    const text = await this.runtime(['state', id], { signal });
    return { ...stateSchema.parse(JSON.parse(text)), id: name };
  }

  /** Packs the record while it runs. Its log and shared memory are sent ahead, and again after the freeze. */
  override async beforeFreeze(name: string, images: string): Promise<void> {
    const { id, runtime } = this.container;
    const { directory, standIn, conf } = this.#places(name);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const script = sourceScript({ runtime, programs: this.programs });
    await writeFile(standIn, script, { mode: 0o700 });
    await writeFile(conf, runtimeConf(runtime, standIn), { mode: 0o600 });
    const listed = await this.#mustKnow(name);
    try {
      await this.podman.pack(id, conf, path.join(images, RECORD));
    } finally {
      // A later export would also pack the stand-in's empty image.
      const left = `${this.#deps.prefix}${path.join(listed.bundle, 'checkpoint')}`;
      await rm(left, { recursive: true, force: true });
      await rm(directory, { recursive: true, force: true });
    }
    await this.#packFiles(listed, images);
  }

  override async whileFrozen(name: string, images: string): Promise<void> {
    const listed = await this.#mustKnow(name);
    const { prefix } = this.#deps;
    const processes = await processesIn((await cgroupOf(listed.pid, prefix)) ?? '');
    const [stranger] = strangersTo(listed.pid, readParents(processes));
    if (stranger !== undefined) {
      const facts = { device: 'its exec sessions', type: 'exec session', guest: name };
      const reason = `process ${stranger} was started by \`podman exec\`, and CRIU does not dump it`;
      const hint = 'End the sessions, then move the container.';
      throw godwitError('GODWIT_DEVICE_UNMOVABLE', { ...facts, reason }, { hint });
    }
    await this.#packFiles(listed, images);
  }

  async #packFiles({ bundle }: RuncState, images: string): Promise<void> {
    const own = `${this.#deps.prefix}${path.join(bundle, 'ctr.log')}`;
    await copyFile(own, path.join(images, LOG)).catch(absent);
    const shm = path.join(bundle, 'shm');
    const archive = path.join(images, SHM);
    // tar's status 1 means that a file changed; the last archive, of the frozen container, counts.
    const keep = ['--xattrs', '--numeric-owner', '--sparse', '--warning=no-file-changed'];
    await this.run(['tar', ...keep, '-C', shm, '-cf', archive, '.'], { alsoDone: 1 });
  }

  async #mustKnow(name: string): Promise<RuncState> {
    const found = await this.state(name, AbortSignal.timeout(15_000));
    if (found !== undefined) return found;
    const reason = `${this.container.runtime} has no container ${this.container.id}`;
    throw godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest: name, reason });
  }

  /**
   * podman starts as soon as its record is here and prepares everything without memory while the source freezes
   * and dumps.
   */
  override arrived(
    name: string,
    { memoryBytes, images, file, signal }: ArrivedFile,
    failed: (error: Error) => void,
  ): void {
    if (file !== RECORD || this.#waiting !== undefined) return;
    this.#waiting = this.#begin(name, memoryBytes, images, signal);
    this.#waiting.catch(failed);
  }
  #waiting: Promise<Waiting> | undefined;
  #lease: Lease | undefined;
  #call: Promise<unknown> | undefined;

  /**
   * podman creates record, network, mounts and conmon and calls its runtime, the waiting stand-in. Any failure
   * from here on ends the stand-in and podman's call.
   */
  async #begin(
    name: string,
    memoryBytes: number,
    images: string,
    signal: AbortSignal,
  ): Promise<Waiting> {
    const { runtime } = this.container;
    const { records, prefix } = this.#deps;
    const { directory, standIn, conf, said, lease, archive } = this.#places(name);
    const { token = '', podman = this.container } = records.readSync(name) ?? {};
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // The source sends it again with the dump, while podman reads this one.
    await rename(path.join(images, RECORD), archive);
    const home = await this.home('restore');
    const script = destinationScript({
      runtime,
      programs: this.programs,
      said,
      lease,
      images,
      home,
    });
    await writeFile(standIn, script, { mode: 0o700 });
    await writeFile(conf, runtimeConf(runtime, standIn), { mode: 0o600 });
    const run = this.run.bind(this);
    const { id, expected } = podman;
    if (expected === undefined) throw new Error('nothing is known of the container that comes');
    await checkRecord(run, archive, { id, ...expected });
    this.#lease = await openLease(run, lease);
    await dropFrames(run, token, podman.macs ?? []);
    signal.throwIfAborted();
    const deadlineMs = CALLED_MS + WAIT_S * 1000 + imageMs(memoryBytes);
    const call = this.podman.restore(archive, conf, { deadlineMs });
    call.catch(() => {});
    this.#call = call;
    const { pid, bundle } = await this.#called(call, said, signal);
    const worker = identify(pid);
    if (worker === undefined) throw new Error('the call of podman’s runtime ended');
    const made = await readBundle(run, prefix, bundle);
    await setPorts(run, made.ports, 'down');
    await records.change(name, { podman: { ...podman, ports: [...made.ports] } });
    await passFrames(run, token);
    return { worker, made };
  }

  override async restore(
    name: string,
    memoryBytes: number,
    { images, signal = NEVER }: RestorePlaces,
    started: (worker: BootProcess) => Promise<void>,
  ): Promise<void> {
    this.#waiting ??= this.#begin(name, memoryBytes, images, signal);
    const { worker, made } = await this.#waiting;
    const [call, lease] = [this.#call, this.#lease];
    if (call === undefined || lease === undefined) throw new Error('podman was not called');
    await started(worker);
    const { mountsOf } = this.#deps.options;
    const run = this.run.bind(this);
    const fill = fillBundle({ run, mountsOf, made, images, upper: this.#upper(name) });
    // A call that ends by now has failed.
    await Promise.race([fill, call.then(() => Promise.reject(new Error('podman did not wait')))]);
    signal.throwIfAborted();
    await lease.write('go\n');
    await this.logged(images, 'restore.log', () => call);
  }

  override async dropArrival(): Promise<void> {
    await this.#waiting?.catch(() => undefined);
    await this.#lease?.close();
    await this.#call?.catch(() => undefined);
  }

  #upper(name: string): string {
    return path.join(this.#deps.records.dirOf(name), 'upper');
  }

  async #called(
    call: Promise<void>,
    said: string,
    signal: AbortSignal,
  ): Promise<{ pid: number; bundle: string }> {
    const over = call.then(() => {
      throw new Error('podman restored the container without calling the stand-in');
    });
    over.catch(() => {});
    const bound = AbortSignal.any([AbortSignal.timeout(CALLED_MS), signal]);
    const text = await Promise.race([over, untilWritten(said, bound)]);
    const found = saidIn(text);
    if (found === undefined) throw new Error('podman called its runtime without a bundle');
    return found;
  }

  /** Otherwise conmon lets podman clean up and restart the container by its restart policy. */
  override async unwatch(name: string): Promise<void> {
    const listed = await this.state(name, AbortSignal.timeout(15_000));
    if (listed === undefined || listed.pid <= 0) return;
    const conmon = conmonAbove(listed.pid, this.container.id);
    if (conmon === undefined) return;
    kill(conmon.pid);
    const signal = AbortSignal.timeout(ENDING.mostMs);
    while (conmonAbove(listed.pid, this.container.id) !== undefined)
      await systemClock.sleep(5, signal);
  }

  /**
   * Ends the container; podman keeps its record and its files, but neither its network nor its restart policy, because
   * another host may have the guest. Repeatable.
   */
  override async end(name: string): Promise<void> {
    const { id } = this.container;
    await this.#endCalls(name);
    await this.#endProcesses(name);
    const known = await this.podman.containers(AbortSignal.timeout(KNOWN_MS));
    if (known.has(id)) await this.podman.retire(id);
    await super.end(name);
    await this.#passFrames(name);
  }

  /** Ends the container with its record. Repeatable. */
  override async remove(name: string): Promise<void> {
    await this.#endCalls(name);
    await super.end(name);
    await this.podman.remove(this.container.id);
    await this.#passFrames(name);
  }

  /** A move may have left podman's call that waits, the stand-in, conmon, or a running container unknown to podman. */
  async #endCalls(name: string): Promise<void> {
    const { standIn, lease, archive } = this.#places(name);
    await ended(isCallWith([standIn, lease, archive]), ENDING);
    // conmon ends first: it would let podman restart the container by its restart policy.
    await ended(isConmonBy(this.container.id, standIn), { ...ENDING, byItselfMs: 0 });
  }

  /** The runtime still lists the container afterwards, because podman's cleanup needs that. */
  async #endProcesses(name: string): Promise<void> {
    const { prefix } = this.#deps;
    const signal = AbortSignal.timeout(ENDING.mostMs);
    const listed = await this.state(name, signal);
    if (listed === undefined) return;
    const run = this.run.bind(this);
    // The network namespace outlives the processes, and answers for their addresses until podman has cleaned up.
    await readBundle(run, prefix, listed.bundle)
      .then(({ ports }) => setPorts(run, ports, 'down'))
      .catch(() => undefined);
    const init = identify(listed.pid);
    if (init === undefined) return;
    await endFrozen((await cgroupOf(init.pid, prefix)) ?? '', signal);
    while (lifeOf(init).state !== 'gone') await systemClock.sleep(5, signal);
  }

  async #passFrames(name: string): Promise<void> {
    const { token, podman } = this.#deps.records.readSync(name) ?? {};
    if (token !== undefined && (podman?.macs ?? []).length > 0) {
      await passFrames(this.run.bind(this), token);
    }
  }

  override kill(name: string): Promise<void> {
    return Promise.reject(coldRefused(name));
  }

  override start(name: string): Promise<void> {
    return Promise.reject(coldRefused(name));
  }

  override create(name: string): Promise<void> {
    return Promise.reject(coldRefused(name));
  }

  override release(name: string): Promise<void> {
    return Promise.reject(coldRefused(name));
  }
}

export const ONLY_PRECOPY = 'containers of podman move by pre-copy only';

function coldRefused(name: string): Error {
  const facts = { what: `to move ${name} cold`, reason: ONLY_PRECOPY };
  return godwitError('GODWIT_CAPABILITY', facts, { hint: 'Use --mode precopy.' });
}

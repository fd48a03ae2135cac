import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { systemClock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import { removeTree } from '../../host/remove-tree.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import type { StreamSetup } from '../port/direct.ts';
import { ChangedPages } from './changed-pages.ts';
import { KINDS } from './frames.ts';
import { onGpu } from './gpu.ts';
import type { Examined } from './inspect.ts';
import { keepPages } from './kept-pages.ts';
import { connectTo } from './link.ts';
import { readMemory } from './memory.ts';
import { setPorts } from './network.ts';
import type { HostContext } from './host-context.ts';
import { processesIn, residentBytes, setFrozen } from './processes.ts';
import { dumpEnded, runHere } from './run-here.ts';
import { imageMs } from './runc.ts';
import { PageSender } from './sender.ts';
import { refuseOpen, writeOut } from './shared-volumes.ts';
import { TreeSender, treesOf } from './trees.ts';
import type { Tree } from './trees.ts';
import { Reported } from './watch.ts';

/** As many rounds at most: each reads all memory, and what changes all the time is not worth another. */
const MOST_ROUNDS = 8;
/** What the destination does beside its restore and its files: it asks runc and writes records. */
const REST_MS = 60_000;
/** For a dump whose runc was ended to end too, and for the container to run again. */
const ENDED_MS = 60_000;

/** Longer than any dump, unpacking and restore together, so that nobody gives up on a destination that is still at it. */
function restoredMs(memoryBytes: number, { unpackMs }: TreeSender): number {
  return 2 * imageMs(memoryBytes) + unpackMs + REST_MS;
}

/** A round that sends more than this share of the one before gains nothing. */
const WORTH_SHARE = 0.7;
/** One part of so many of the memory is little: the dump of all of it takes longer than sending that. */
const LITTLE_SHARE = 32;

/**
 * One container on its way out. It lives as long as this process, over several sessions: who comes later finds it.
 *
 * Pre-copy: the memory of the running container is read round by round. Pages that the destination lacks are sent. Then
 * the container is taken from the network and frozen, CRIU writes it down, and what is new of that is sent. It stays
 * frozen here until it is retired or taken back.
 */
export class Dispatch {
  readonly reported = new Reported();
  readonly #context: HostContext;
  readonly #name: string;
  readonly #facts: Examined;
  readonly #over = new AbortController();
  readonly #go = Promise.withResolvers<void>();
  #setup: StreamSetup;
  #sender: PageSender | undefined;
  #work: Promise<void> | undefined;
  #round = 0;
  #roundNew = 0;
  readonly #looked = new Map<number, ChangedPages>();
  #totalBytes: number;
  #startedMs = 0;
  #endedMs: number | undefined;
  #stoppedMs = 0;
  /** The freeze until the destination had it restored, ms. */
  downtimeMs: number | undefined;

  constructor(context: HostContext, name: string, facts: Examined, setup: StreamSetup) {
    this.#context = context;
    this.#name = name;
    this.#facts = facts;
    this.#setup = setup;
    this.#totalBytes = facts.description.memoryBytes;
    this.#go.promise.catch(() => {});
  }

  get isUnderWay(): boolean {
    return /^(setup|active|pre-switchover|device)$/.test(this.reported.stream);
  }

  get #trees(): Tree[] {
    return treesOf(this.#facts.root, this.#facts.volumes, this.#facts.rootBytes);
  }

  get #ports(): string[] {
    return this.#facts.nicsHere.map(({ port }) => port);
  }

  start(address: string, tlsHostname: string | undefined): void {
    this.#startedMs = systemClock.monotonicMs();
    this.reported.to('setup');
    this.#work = this.#run(address, tlsHostname).catch((error: unknown) => this.#failed(error));
  }

  adjust(change: { readonly maxBandwidth?: number; readonly maxDowntimeMs?: number }): void {
    this.#setup = { ...this.#setup, ...change };
    if (this.#sender !== undefined) this.#sender.bytesPerS = this.#setup.maxBandwidth;
  }

  continue(): void {
    this.#go.resolve();
  }

  sample(): MemorySample {
    const elapsed = (this.#endedMs ?? systemClock.monotonicMs()) - this.#startedMs;
    const sent = this.#sender?.sentBytes ?? 0;
    const isDone = this.reported.stream === 'completed';
    return {
      totalBytes: this.#totalBytes,
      remainingBytes: isDone
        ? 0
        : Math.max(0, this.#round > 1 ? this.#roundNew : this.#totalBytes - sent),
      transferredBytes: sent,
      skippedBytes: (this.#sender?.knownPages ?? 0) * 4096,
      rate: elapsed === 0 ? 0 : Math.round((sent / elapsed) * 1000),
      dirtyRate: 0,
      round: this.#round,
      totalMs: Math.round(elapsed),
      pageRequests: 0,
      ...(this.downtimeMs === undefined ? {} : { downtimeMs: Math.round(this.downtimeMs) }),
    };
  }

  /** Ends it where not all is sent; the container runs on here when this resolves. */
  async cancel(signal: AbortSignal): Promise<void> {
    if (this.reported.stream === 'completed') return;
    const wasUnderWay = this.isUnderWay;
    this.#over.abort(new Error('the source cancelled'));
    this.#go.reject(new Error('the source cancelled'));
    this.#sender?.close();
    await this.#work;
    if (wasUnderWay) this.reported.to('cancelled');
    await this.runHere(signal);
  }

  /** Thaws the container and gives it its ports. */
  async runHere(signal: AbortSignal): Promise<void> {
    await runHere(
      this.#context,
      this.#name,
      { ...this.#facts, ports: this.#ports },
      this.reported,
      signal,
    );
  }

  async #run(address: string, tlsHostname: string | undefined): Promise<void> {
    const { signal } = this.#over;
    const stream = await connectTo(address, tlsHostname, this.#setup, signal);
    const sender = new PageSender(stream, this.#setup.compress === 'zstd');
    this.#sender = sender;
    sender.bytesPerS = this.#setup.maxBandwidth;
    await sender.send(KINDS.hello, { version: 1, guest: this.#name });
    await sender.heard(KINDS.ready, signal);
    const directory = path.join(this.#context.records.dirOf(this.#name), 'out');
    await freshDirectory(path.join(directory, 'images'));
    this.reported.to('active');
    const sending = { runc: this.#context.runc, sender, directory, signal };
    const trees = new TreeSender(sending, this.#trees);
    await this.#rounds(sender, trees);
    await this.#takeGpus(sender);
    await this.#freeze();
    await refuseOpen(this.#facts);
    if (this.#setup.holdSwitchover === true) {
      this.reported.to('pre-switchover');
      await this.#go.promise;
    }
    this.reported.to('device');
    await this.#handOver(sender, trees, directory, stream);
  }

  /** Reads and sends memory while the container runs. */
  async #rounds(sender: PageSender, trees: TreeSender): Promise<void> {
    let before = Infinity;
    while (this.#round < MOST_ROUNDS) {
      const bytes = await this.#readAll(sender, this.#round === 0 ? trees : undefined);
      if (this.#round > 1 && (this.#isLittle(bytes) || bytes > before * WORTH_SHARE)) return;
      before = bytes;
    }
  }

  /** One round; what it sent, bytes. */
  async #readAll(sender: PageSender, trees?: TreeSender): Promise<number> {
    const { signal } = this.#over;
    this.#round += 1;
    this.reported.pass(this.#round);
    const sent = sender.sentBytes;
    const pids = await processesIn(this.#facts.cgroup);
    this.#totalBytes = Math.max(await residentBytes(pids), 4096);
    for (const pid of pids) {
      const seen = this.#looked.get(pid) ?? new ChangedPages();
      this.#looked.set(pid, seen);
      await readMemory(pid, (pages, from) => sender.learnAll(seen.of(pages, from), pages), signal);
    }
    await sender.learned();
    await trees?.first();
    await sender.flush();
    this.#roundNew = sender.sentBytes - sent;
    return this.#roundNew;
  }

  /**
   * Takes the state of its GPUs into its memory, and sends that while the rest of it runs: the driver answers for no process
   * that is frozen. What asks the GPU for anything waits from now on.
   */
  async #takeGpus(sender: PageSender): Promise<void> {
    if (this.#facts.gpuBytes === undefined) return;
    const { records, gpus } = this.#context;
    this.#over.signal.throwIfAborted();
    const gpu = { pairs: [], helper: await gpus.helper() };
    await records.change(this.#name, { leaving: 'sending', gpu });
    await gpus.takeAway(await onGpu(await processesIn(this.#facts.cgroup)));
    await this.#readAll(sender);
  }

  /** What one more round would save is less than what the freeze takes anyway. */
  #isLittle(bytes: number): boolean {
    const { maxBandwidth, maxDowntimeMs } = this.#setup;
    if (maxBandwidth !== undefined) return (bytes / maxBandwidth) * 1000 <= maxDowntimeMs;
    return bytes <= this.#totalBytes / LITTLE_SHARE;
  }

  async #freeze(): Promise<void> {
    const { runc, records } = this.#context;
    this.#over.signal.throwIfAborted();
    await records.change(this.#name, { leaving: 'sending', unplugged: this.#ports });
    this.#stoppedMs = systemClock.monotonicMs();
    await setPorts(runc.run.bind(runc), this.#ports, 'down');
    await setFrozen(this.#facts.cgroup, true, AbortSignal.timeout(10_000));
    this.reported.ran('stopped');
  }

  async #handOver(
    sender: PageSender,
    trees: TreeSender,
    directory: string,
    stream: Duplex,
  ): Promise<void> {
    const { runc, records } = this.#context;
    const { signal } = this.#over;
    const images = path.join(directory, 'images');
    // Nobody breaks off a dump: CRIU has its code in the container's processes until it is over.
    const { memoryBytes } = this.#facts.description;
    await runc.dump(this.#name, memoryBytes, images, (worker) =>
      records.change(this.#name, { worker }),
    );
    await records.change(this.#name, { worker: undefined });
    signal.throwIfAborted();
    await setFrozen(this.#facts.cgroup, true, signal);
    for (const name of await imagesIn(images))
      await sender.file(name, 'image', path.join(images, name));
    await trees.last();
    await writeOut(this.#context, this.#facts.volumes, signal);
    const restored = sender.heard(KINDS.restored, signal, restoredMs(memoryBytes, trees));
    restored.catch(() => {});
    await sender.send(KINDS.done);
    await restored;
    await records.change(this.#name, { leaving: 'sent' });
    signal.throwIfAborted();
    this.#endedMs = systemClock.monotonicMs();
    this.downtimeMs = this.#endedMs - this.#stoppedMs;
    this.reported.to('completed');
    stream.end();
    const { directory: kept } = records;
    const pages = { records: kept, name: this.#name, mostBytes: this.#context.keptBytes };
    await keepPages(images, pages).catch(() => undefined);
    // The container's end removes what is left of it.
    await removeTree(directory).catch(() => undefined);
  }

  /** As a hypervisor does: what breaks before all is handed over leaves the guest running here. */
  async #failed(error: unknown): Promise<void> {
    this.#sender?.close();
    // From then on the destination may run it, whatever fails here.
    if (this.reported.stream === 'completed') return;
    if (!this.#over.signal.aborted)
      this.reported.to('failed', toGodwitError(error).message.slice(0, 1000));
    const signal = AbortSignal.timeout(ENDED_MS);
    try {
      await dumpEnded(this.#context, this.#name, signal);
      await removeTree(path.join(this.#context.records.dirOf(this.#name), 'out'));
    } catch {
      // It stays frozen, and its record says so: whoever cancels waits for the dump again.
    }
    if (!this.#over.signal.aborted) await this.runHere(signal).catch(() => undefined);
  }
}

export async function freshDirectory(directory: string): Promise<void> {
  await removeTree(directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
}

async function imagesIn(directory: string): Promise<string[]> {
  const names = await readdir(directory);
  return names.filter((name) => !/\.log$|^stats-|^\./.test(name));
}

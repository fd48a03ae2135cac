import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { systemClock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import { removeTree } from '../../system/files/remove-tree.ts';
import type { MemorySample } from '../../protocol/public/migration.ts';
import { optimiseWhatIsHot } from '../../system/processes/small-process.ts';
import type { StreamSetup } from '../../port/direct.ts';
import { KINDS } from './link/frames.ts';
import { onGpu } from './gpu/gpu.ts';
import type { ContainerInspection } from './inspect.ts';
import { keepPages, DigestsOut } from './pages/kept-pages.ts';
import { keepSetup } from './pages/kept-setup.ts';
import { LateSource } from './late-source.ts';
import { lazyPages, pagesNumber } from './pages/lazy-pages.ts';
import { connectTo } from './link/link.ts';
import { setPorts } from './host/network.ts';
import type { HostContext } from './host/host-context.ts';
import { processesIn, setFrozen } from './host/processes.ts';
import { dumpEnded, runHere } from './runtimes/run-here.ts';
import { imageMs } from './runtimes/runc.ts';
import { PageSender } from './link/sender.ts';
import { refuseOpen, writeOut } from './files/shared-volumes.ts';
import { TreeSender, treesOf, type Tree } from './files/trees.ts';
import { Rounds } from './rounds.ts';
import { EventReplay } from './watch.ts';

/** Time for the destination's work besides restore and files: runc calls and records. */
const REST_MS = 60_000;
/** Time for an aborted dump to end and the container to run again. */
const ENDED_MS = 60_000;

/** Exceeds dump, unpacking and restore together, so that the source does not give up too early. */
function restoredMs(memoryBytes: number, { unpackMs }: TreeSender): number {
  return 2 * imageMs(memoryBytes) + unpackMs + REST_MS;
}

/**
 * Departing container. Lives as long as this process, over several sessions.
 *
 * Pre-copy sends the running container's pages in rounds. Then the container is taken off the network, frozen
 * and dumped by CRIU, and the changes are sent. It stays frozen here until it is removed or taken back.
 */
export class Dispatch {
  readonly reported = new EventReplay();
  readonly #context: HostContext;
  readonly #name: string;
  readonly #facts: ContainerInspection;
  readonly #over = new AbortController();
  readonly #go = Promise.withResolvers<void>();
  #setup: StreamSetup;
  #sender: PageSender | undefined;
  #work: Promise<void> | undefined;
  readonly #rounds: Rounds;
  #startedMs = 0;
  #endedMs: number | undefined;
  #stoppedMs = 0;
  late: LateSource | undefined;
  readonly #switch = new AbortController();
  /** Time from the freeze until the destination has restored it, ms. */
  downtimeMs: number | undefined;

  constructor(context: HostContext, name: string, facts: ContainerInspection, setup: StreamSetup) {
    this.#context = context;
    this.#name = name;
    this.#facts = facts;
    this.#setup = setup;
    const { cgroup, description } = facts;
    const { memoryBytes } = description;
    const signals = [this.#over.signal, this.#switch.signal] as const;
    this.#rounds = new Rounds({ cgroup, memoryBytes }, this.reported, ...signals);
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

  adjust(change: Pick<Partial<StreamSetup>, 'maxBandwidth' | 'maxDowntimeMs'>): void {
    this.#setup = { ...this.#setup, ...change };
    if (this.#sender !== undefined) this.#sender.bytesPerS = this.#setup.maxBandwidth;
    this.late?.adjust(change);
  }

  continue(): void {
    this.#go.resolve();
  }

  startPostcopy(): void {
    this.#switch.abort(new Error('it goes over to post-copy'));
  }

  sample(): MemorySample {
    const elapsed = (this.#endedMs ?? systemClock.monotonicMs()) - this.#startedMs;
    const sent = this.#sender?.sentBytes ?? 0;
    const isDone = this.reported.stream === 'completed';
    const { totalBytes, round, newBytes } = this.#rounds;
    if (this.late !== undefined && this.downtimeMs !== undefined)
      return { ...this.late.sample(), downtimeMs: Math.round(this.downtimeMs) };
    return {
      totalBytes,
      remainingBytes: isDone ? 0 : Math.max(0, round > 1 ? newBytes : totalBytes - sent),
      transferredBytes: sent,
      skippedBytes: (this.#sender?.knownPages ?? 0) * 4096,
      rate: elapsed === 0 ? 0 : Math.round((sent / elapsed) * 1000),
      dirtyRate: 0,
      round,
      totalMs: Math.round(elapsed),
      pageRequests: 0,
      ...(this.downtimeMs === undefined ? {} : { downtimeMs: Math.round(this.downtimeMs) }),
    };
  }

  /** Cancels unless everything was sent; the container runs here when this resolves. */
  async cancel(signal: AbortSignal): Promise<void> {
    if (this.reported.stream === 'completed' || this.reported.stream.startsWith('postcopy')) return;
    const wasUnderWay = this.isUnderWay;
    this.#over.abort(new Error('the source cancelled'));
    this.#go.reject(new Error('the source cancelled'));
    this.#sender?.close();
    await this.#work;
    if (wasUnderWay) this.reported.to('cancelled');
    await this.runHere(signal);
  }

  async runHere(signal: AbortSignal): Promise<void> {
    this.late?.stop();
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
    optimiseWhatIsHot();
    const stream = await connectTo(address, tlsHostname, this.#setup, signal);
    const sender = new PageSender(stream, this.#setup.compress === 'zstd');
    this.#sender = sender;
    sender.bytesPerS = this.#setup.maxBandwidth;
    await sender.send(KINDS.hello, { version: 1, guest: this.#name });
    await sender.heard(KINDS.ready, signal);
    const directory = path.join(this.#context.records.dirOf(this.#name), 'out');
    await freshDirectory(path.join(directory, 'images'));
    const isPostcopy = this.#setup.mode === 'postcopy';
    if (!isPostcopy) this.reported.to('active');
    const sending = { runc: this.#context.runc, sender, directory, signal };
    const trees = new TreeSender(sending, this.#trees);
    if (isPostcopy) {
      await trees.first();
      this.reported.to('active');
      const switched =
        this.#switch.signal.aborted || once(this.#switch.signal, 'abort', { signal });
      await Promise.race([switched, sender.broken]);
    } else {
      await this.#rounds.all(sender, trees, () => this.#setup);
    }
    await this.#sendAhead(sender, path.join(directory, 'images'));
    await this.#takeGpus(sender);
    await this.#freeze();
    await refuseOpen(this.#facts);
    const isLate = this.#switch.signal.aborted;
    if (this.#setup.holdSwitchover === true) {
      this.reported.to('pre-switchover');
      await this.#go.promise;
    }
    this.reported.to('device');
    await this.#handOver(sender, trees, directory, stream, isLate);
  }

  /** Sends the files next to CRIU's images ahead; unchanged pages then cost nothing during the freeze. */
  async #sendAhead(sender: PageSender, images: string): Promise<void> {
    await this.#context.runc.beforeFreeze(this.#name, images);
    for (const name of await readdir(images))
      await sender.file(name, 'image', path.join(images, name));
  }

  /**
   * Moves GPU state into the container's memory and sends it while the rest runs, because the driver does not
   * answer for frozen processes. Requests to the GPU wait from now on.
   */
  async #takeGpus(sender: PageSender): Promise<void> {
    if (this.#facts.gpuBytes === undefined) return;
    const { records, gpus } = this.#context;
    this.#over.signal.throwIfAborted();
    const gpu = { pairs: [], helper: await gpus.helper() };
    await records.change(this.#name, { leaving: 'sending', gpu });
    await gpus.takeAway(await onGpu(await processesIn(this.#facts.cgroup)));
    await this.#rounds.one(sender);
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
    isLate: boolean,
  ): Promise<void> {
    const { runc, records } = this.#context;
    const { signal } = this.#over;
    const images = path.join(directory, 'images');
    // A dump is never aborted: CRIU's code is in the container's processes until its end.
    const { memoryBytes } = this.#facts.description;
    await runc.dump(this.#name, memoryBytes, images, (worker) =>
      records.change(this.#name, { worker }),
    );
    await records.change(this.#name, { worker: undefined });
    signal.throwIfAborted();
    await setFrozen(this.#facts.cgroup, true, signal);
    await runc.whileFrozen(this.#name, images);
    const left = isLate ? await lazyPages(images) : undefined;
    await sendImages(sender, images, left);
    await trees.last();
    await writeOut(this.#context, this.#facts.volumes, signal);

    if (left !== undefined) return this.#giveLate(sender, trees, directory, left);
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
    const { keptBytes: mostBytes } = this.#context;
    const pages = { records: records.directory, name: this.#name, mostBytes };
    await keepPages(images, pages).catch(() => undefined);
    await removeTree(directory).catch(() => undefined);
  }

  /** Until the destination confirms the container, any failure leaves it running here. */
  async #giveLate(
    sender: PageSender,
    trees: TreeSender,
    directory: string,
    left: Map<number, Uint8Array>,
  ): Promise<void> {
    await keepSetup(directory, this.#setup);
    this.late = new LateSource(this.#context, this.#name, this.#setup, this.reported);
    const { memoryBytes } = this.#facts.description;
    await this.late.begin(sender, left, restoredMs(memoryBytes, trees), this.#over.signal);
    this.downtimeMs = systemClock.monotonicMs() - this.#stoppedMs;
    await this.late.given();
  }

  /** A failure before the handover is complete leaves the guest running here. */
  async #failed(error: unknown): Promise<void> {
    this.#sender?.close();
    this.late?.stop();
    // After that the destination may run it, whatever fails here.
    if (this.reported.stream === 'completed') return;
    if (!this.#over.signal.aborted)
      this.reported.to('failed', toGodwitError(error).message.slice(0, 1000));
    const signal = AbortSignal.timeout(ENDED_MS);
    try {
      await dumpEnded(this.#context, this.#name, signal);
      await removeTree(path.join(this.#context.records.dirOf(this.#name), 'out'));
    } catch {
      // It stays frozen, with a record of it; a cancel waits for the dump again.
    }
    if (!this.#over.signal.aborted) await this.runHere(signal).catch(() => undefined);
  }
}

export async function freshDirectory(directory: string): Promise<void> {
  await removeTree(directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
}

/** Sends all of CRIU's files. `left`: pages of each file that may follow later. */
async function sendImages(
  sender: PageSender,
  images: string,
  left: ReadonlyMap<number, Uint8Array> | undefined,
): Promise<void> {
  const names = await readdir(images);
  for (const name of names.filter((each) => !/\.log$|^stats-|^\./.test(each))) {
    const [file, number] = [path.join(images, name), pagesNumber(name)];
    const late = number === undefined ? undefined : left?.get(number);
    const isWhole = number !== undefined && left === undefined;
    const digests = isWhole ? new DigestsOut(file) : undefined;
    await sender.file(name, 'image', file, { late, digests: digests?.take });
    await digests?.end();
  }
}

import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { toGodwitError } from '../../errors.ts';
import { optimiseWhatIsHot } from '../../system/processes/small-process.ts';
import { defined } from '../../protocol/defined.ts';
import type { DestinationOptions, StreamSetup } from '../../port/direct.ts';
import { ArrivingTrees } from './files/arriving-trees.ts';
import { encodeFrame, KINDS, write } from './link/frames.ts';
import type { CriuHandle } from './handle.ts';
import { LateArrival } from './late-arrival.ts';
import { ROOM_TIMES } from './assess.ts';
import { dropKept, keptDirectory, KeptPages } from './pages/kept-pages.ts';
import { whyNoRoom } from './files/made-volumes.ts';
import { listenForSource, type Listener } from './link/link.ts';
import { removeDirectory } from './tear-down.ts';
import type { HostContext } from './host/host-context.ts';
import { wasAllGiven } from './pages/pager-client.ts';
import { JOURNAL } from './pager/main.ts';
import { identify } from './host/processes.ts';
import { PageReceiver } from './link/receiver.ts';
import { checkShared } from './files/shared-volumes.ts';
import type { MadeVolume } from './link/records.ts';
import { EventReplay } from './watch.ts';

/** Extra size of the dumps, beyond the container's memory and volumes. */
const EXTRA_BYTES = 4 * 1024 ** 3;

/** Arriving container: receives its images, restores it and keeps it frozen. Lives as long as this process. */
export class Arrival {
  readonly reported = new EventReplay();
  readonly handle: CriuHandle;
  readonly #context: HostContext;
  readonly #bundle: string;
  readonly #options: DestinationOptions;
  #listener: Listener | undefined;
  #stream: Duplex | undefined;
  #work: Promise<void> | undefined;
  #attached: Promise<void> | undefined;
  #tidied: Promise<void> | undefined;
  readonly #over = new AbortController();
  late: LateArrival | undefined;

  constructor(
    context: HostContext,
    handle: CriuHandle,
    bundle: string,
    options: DestinationOptions,
  ) {
    this.#context = context;
    this.handle = handle;
    this.#bundle = bundle;
    this.#options = options;
  }

  get address(): string {
    return this.#listener?.address ?? '';
  }

  async open(setup: StreamSetup): Promise<void> {
    const { runc } = this.#context;
    this.#listener = await listenForSource(this.#options, setup, (stream) => {
      stream.on('error', () => {});
      if (this.#stream !== undefined || this.#over.signal.aborted) return void stream.destroy();
      this.#stream = stream;
      this.reported.to('active');
      this.#work = this.#take(stream)
        .finally(() => runc.dropArrival())
        .catch((error: unknown) => this.#failed(stream, error));
    });
  }

  get #directory(): string {
    return path.join(this.#context.records.dirOf(this.handle.name), 'in');
  }

  async #take(stream: Duplex): Promise<void> {
    optimiseWhatIsHot();
    const { runc, records, keptBytes } = this.#context;
    const { name, memoryBytes } = this.handle;
    const volumeBytes = this.#volumes.reduce((sum, { bytes }) => sum + bytes, 0);
    const most = (memoryBytes + volumeBytes) * 2 + EXTRA_BYTES;
    const trees = this.#newTrees();
    const { signal } = this.#over;
    let kept: KeptPages | undefined;
    const openKept = async (): Promise<KeptPages> => {
      const top = keptDirectory(records.directory);
      // Kept pages must not block an arrival, so they are dropped if possible.
      const lacks = await whyNoRoom(records.directory, ROOM_TIMES * memoryBytes).catch(String);
      await dropKept(top, lacks === undefined ? keptBytes : 0).catch(() => undefined);
      kept = await KeptPages.open(path.join(top, name), keptBytes, signal);
      return kept;
    };
    const base = (tree: string): void => trees.base(tree);
    const images = path.join(this.#directory, 'images');
    const arrived = (file: string): void => {
      // A failure here must precede the freeze at the source.
      const failed = (error: Error): void => void stream.destroy(error);
      runc.arrived(name, { memoryBytes, images, file, signal }, failed);
    };
    const receiver = new PageReceiver(this.#directory, name, most, base, openKept);
    receiver.onImage = arrived;
    try {
      await receiver.take(stream);
      this.#over.signal.throwIfAborted();
      await trees.finish(receiver.digests);
    } finally {
      await trees.end();
      await kept?.close();
    }
    const record = records.readSync(name);
    await checkShared(this.#context, record?.made?.shared);
    if (receiver.isCold) {
      await records.change(name, { cold: 'arrived' });
      await write(stream, encodeFrame(KINDS.restored));
      this.#listener?.close();
      return;
    }
    const late = receiver.isLate ? this.#newLate() : undefined;
    await late?.begin(stream, receiver.reader, receiver.rest);
    const places = { images, bundle: this.#bundle, late: late !== undefined, signal };
    await runc.restore(name, memoryBytes, places, (worker) => records.change(name, { worker }));
    const listed = await runc.state(name, AbortSignal.timeout(10_000));
    const init = listed === undefined ? undefined : identify(listed.pid);
    await records.change(name, { worker: undefined, ...defined({ init }) });
    if (init === undefined) throw new Error('it ended as soon as it was restored');
    this.reported.ran('stopped');
    // Reported before the container may run: from then on its remaining memory is awaited, even if a mover ends.
    await late?.restored(this.#over.signal);
    await write(stream, encodeFrame(KINDS.restored));
    if (late === undefined) this.reported.to('completed');
    this.#listener?.close();
  }

  #newLate(): LateArrival {
    this.late = new LateArrival(this.#context, this.handle.name, this.#options, this.reported);
    return this.late;
  }

  /** Continues the arrival in a process that did not receive the container; the rest of its memory is still to come. */
  async attach(): Promise<void> {
    this.#attached = this.#newLate().attach();
    await this.#attached;
  }

  async attached(): Promise<void> {
    await this.#attached;
  }

  get #volumes(): readonly MadeVolume[] {
    return this.#context.records.readSync(this.handle.name)?.made?.volumes ?? [];
  }

  #newTrees(): ArrivingTrees {
    const { records } = this.#context;
    const { name } = this.handle;
    const own = records.readSync(name)?.made?.overlay === true ? 'upper' : 'bundle/rootfs';
    const root = path.join(records.dirOf(name), own);
    const trees = { input: this.#directory, root, volumes: this.#volumes };
    return new ArrivingTrees(this.#context, trees, this.#over.signal);
  }

  async #failed(stream: Duplex, error: unknown): Promise<void> {
    const reason = toGodwitError(error).message.slice(0, 2000);
    if (!stream.destroyed) {
      await write(stream, encodeFrame(KINDS.failed, Buffer.from(JSON.stringify({ reason })))).catch(
        () => {},
      );
      stream.end();
    }
    await this.late?.close(true);
    if (!this.#over.signal.aborted) this.reported.to('failed', reason);
  }

  /** The container runs with all its memory here: removes its pages while the source is cleaned up. */
  tidy(): void {
    if (this.late !== undefined || this.reported.stream !== 'completed') return;
    this.#tidied = removePages(this.#directory).catch(() => undefined);
  }

  /** Aborts the arrival, but waits for a restore. `ended`: the container has ended or never runs. */
  async close(ended: boolean): Promise<void> {
    this.#over.abort(new Error('it is taken down'));
    this.#listener?.close();
    await this.late?.close(ended);
    if (this.late !== undefined && !ended) return;
    if (this.reported.stream === 'completed') this.#stream?.end();
    else this.#stream?.destroy();
    await this.#work;
    await this.#tidied;
  }

  static async assertAll({ records }: HostContext, name: string): Promise<void> {
    const images = path.join(records.dirOf(name), 'in', 'images');
    if (records.readSync(name)?.late !== true || (await wasAllGiven(images))) return;
    throw new Error(`the rest of the memory of ${name} has not come`);
  }

  /**
   * Removes its images after `assertAll`. Pages go first, to free space for the record that all memory is here.
   * The pager's record goes next, so that a later process finds nothing to take up.
   */
  static async settle(context: HostContext, name: string): Promise<void> {
    const { records } = context;
    const directory = path.join(records.dirOf(name), 'in');
    const images = path.join(directory, 'images');
    if (records.readSync(name)?.late === true) {
      await removePages(directory);
      await records.change(name, { late: undefined });
    }
    await rm(path.join(images, JOURNAL), { force: true });
    await removeDirectory(context, directory);
  }
}

export async function removePages(directory: string): Promise<void> {
  const images = path.join(directory, 'images');
  for (const each of await readdir(images))
    if (each.startsWith('pages-')) await rm(path.join(images, each), { force: true });
  await rm(path.join(directory, 'pages.store'), { force: true });
}

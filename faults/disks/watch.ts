/** The witness of one guest's disks: it reads the hosts' storage, the kernel's locks and QEMU, and asks no Godwit. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { storageDirectory, type Lab } from '../../lab/state.ts';
import { writersOf } from '../../lab/witness/locks.ts';
import { blocksSeen, type Blocks } from './blocks.ts';
import { judgeDisks } from './judge.ts';
import { storedIn, takenBytes, type StoredFiles } from './storage.ts';

const SAMPLE_MS = 50;
/** What is over ends by itself within this time. */
const SETTLE_MS = 25_000;
const LOOK_MS = 100;
/** The images that the guest writes to; those they are based on are called otherwise. */
const COPY = /^disk\d+\.(qcow2|raw)$/;

export interface WatchTarget {
  readonly lab: Lab;
  readonly guest: string;
  readonly from: string;
  readonly to: string;
}

export interface DisksEnd {
  readonly host: string | undefined;
  readonly outcome: string;
  readonly writes: boolean | undefined;
}

export class DiskWatch {
  /** When the copies at the destination had grown, ms since 1970. */
  readonly grown: number[] = [];
  readonly #watched: WatchTarget;
  readonly #images: readonly string[];
  readonly #before: ReadonlyMap<string, StoredFiles>;
  readonly #blocksBefore: readonly Blocks[];
  readonly #over = new AbortController();
  #sampling: Promise<void> = Promise.resolve();

  private constructor(
    watched: WatchTarget,
    before: ReadonlyMap<string, StoredFiles>,
    blocks: readonly Blocks[],
  ) {
    this.#watched = watched;
    this.#before = before;
    this.#blocksBefore = blocks;
    const all = [...(before.get(watched.from) ?? [])];
    this.#images = all.flatMap(([name, { directory }]) => (directory ? [] : [name]));
  }

  /** `bare`: what the destination holds of an earlier migration goes first, so that all has to be sent. */
  static async open(watched: WatchTarget, bare: boolean): Promise<DiskWatch> {
    const { lab, guest, to } = watched;
    if (bare) rmSync(path.join(storageDirectory(lab, to), guest), { recursive: true, force: true });
    const watch = new DiskWatch(watched, storages(lab), await blocksSeen(lab, guest));
    watch.#sampling = watch.#sample();
    return watch;
  }

  /** What has arrived of the guest's disks at the destination; `seed`: of a backing file that is not whole yet. */
  arrivedBytes(seed: boolean): number {
    const { lab, to } = this.#watched;
    return takenBytes(storageDirectory(lab, to), seed ? /^\.godwit-/ : COPY);
  }

  /** How many images are copied while the guest runs. */
  get copies(): number {
    return this.#images.filter((image) => COPY.test(path.basename(image))).length;
  }

  async close(): Promise<void> {
    this.#over.abort(new Error('closed'));
    await this.#sampling;
  }

  /** What is not right with the disks, once what ends by itself has had its time; in words. */
  async problems(end: DisksEnd): Promise<string[]> {
    const start = systemClock.monotonicMs();
    for (;;) {
      const found = await this.#judge(end);
      if (found.length === 0 || systemClock.monotonicMs() - start > SETTLE_MS) return found;
      await systemClock.sleep(LOOK_MS);
    }
  }

  async #judge(end: DisksEnd): Promise<string[]> {
    const { lab, guest } = this.#watched;
    const now = storages(lab);
    const writers = new Map<string, readonly string[]>();
    for (const [host, files] of now) {
      for (const name of files.keys()) {
        if (files.get(name)?.directory !== false) continue;
        const image = path.join(storageDirectory(lab, host), name);
        writers.set(`${host}:${name}`, await writersOf(lab, guest, image));
      }
    }
    return judgeDisks({
      ...this.#watched,
      ...end,
      images: this.#images,
      before: this.#before,
      now,
      writers,
      blocksBefore: this.#blocksBefore,
      blocks: await blocksSeen(lab, guest),
    });
  }

  async #sample(): Promise<void> {
    const { lab, to } = this.#watched;
    let last = 0;
    while (!this.#over.signal.aborted) {
      const bytes = takenBytes(storageDirectory(lab, to));
      if (bytes > last) this.grown.push(systemClock.wallMs());
      last = bytes;
      await systemClock.sleep(SAMPLE_MS, this.#over.signal).catch(() => {});
    }
  }
}

function storages(lab: Lab): Map<string, StoredFiles> {
  return new Map(lab.hosts.map((host) => [host, storedIn(storageDirectory(lab, host))]));
}

import {
  CONTENT_ROUNDS,
  LITTLE_SHARE,
  WORTH_SHARE,
} from '../../migration/prediction/parameters.ts';
import type { StreamSetup } from '../../port/direct.ts';
import type { TreeSender } from './files/trees.ts';
import { processesIn, residentBytes } from './host/processes.ts';
import type { PageSender } from './link/sender.ts';
import { ChangedPages } from './pages/changed-pages.ts';
import { PAGE, readMemory } from './pages/memory.ts';
import type { EventReplay } from './watch.ts';

type Limits = Pick<StreamSetup, 'maxBandwidth' | 'maxDowntimeMs'>;

/** Reads and sends a running container's memory in rounds. */
export class Rounds {
  readonly #cgroup: string;
  readonly #reported: EventReplay;
  readonly #over: AbortSignal;
  /** After this, omitted pages follow later. */
  readonly #switch: AbortSignal;
  readonly #looked = new Map<number, ChangedPages>();
  round = 0;
  newBytes = 0;
  totalBytes: number;

  constructor(
    { cgroup, memoryBytes }: { readonly cgroup: string; readonly memoryBytes: number },
    reported: EventReplay,
    over: AbortSignal,
    goesOver: AbortSignal,
  ) {
    this.#cgroup = cgroup;
    this.totalBytes = memoryBytes;
    this.#reported = reported;
    this.#over = over;
    this.#switch = goesOver;
  }

  /** Runs as many rounds as are useful. `limits`: the present ones. */
  async all(sender: PageSender, trees: TreeSender, limits: () => Limits): Promise<void> {
    let before = Infinity;
    while (this.round < CONTENT_ROUNDS && !this.#switch.aborted) {
      const bytes = await this.one(sender, this.round === 0 ? trees : undefined);
      const isLittle = this.#isLittle(bytes, limits());
      if (this.round > 1 && (isLittle || bytes > before * WORTH_SHARE)) return;
      before = bytes;
    }
  }

  async one(sender: PageSender, trees?: TreeSender): Promise<number> {
    this.round += 1;
    this.#reported.pass(this.round);
    const sent = sender.sentBytes;
    const pids = await processesIn(this.#cgroup);
    this.totalBytes = Math.max(await residentBytes(pids), PAGE);
    const stopped = AbortSignal.any([this.#over, this.#switch]);
    for (const pid of pids) {
      const seen = this.#looked.get(pid) ?? new ChangedPages();
      this.#looked.set(pid, seen);
      const learn = async (pages: Buffer, from: number): Promise<void> => {
        sender.knownPages += pages.length / PAGE;
        for (const changed of seen.of(pages, from)) {
          sender.knownPages -= changed.length / PAGE;
          await sender.learn(changed);
        }
      };
      await readMemory(pid, learn, stopped).catch((error: unknown) => {
        if (this.#over.aborted || !this.#switch.aborted) throw error;
      });
    }
    await sender.learned();
    await trees?.first();
    await sender.flush();
    this.newBytes = sender.sentBytes - sent;
    return this.newBytes;
  }

  /** Another round would save less than the freeze takes anyway. */
  #isLittle(bytes: number, { maxBandwidth, maxDowntimeMs }: Limits): boolean {
    if (maxBandwidth !== undefined) return (bytes / maxBandwidth) * 1000 <= maxDowntimeMs;
    return bytes <= this.totalBytes / LITTLE_SHARE;
  }
}

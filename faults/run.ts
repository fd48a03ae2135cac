/** Plays cells one after the other, on stages that are kept while what a cell left allows it. */
import { cellId } from './cell.ts';
import { keepEvidence } from './evidence.ts';
import { GUEST, play } from './play.ts';
import type { Played } from './play.ts';
import { Stage } from './stage.ts';
import type { Row } from './table.ts';

export type Runnable = Extract<Row, { run: true }>;

export interface PlayerOptions {
  readonly seed: number;
  /** Where the journals and logs of red cells are copied to. */
  readonly evidence?: string | undefined;
}

export class Player {
  readonly #options: PlayerOptions;
  #stage: Stage | undefined;
  #smallDisks = false;

  constructor(options: PlayerOptions) {
    this.#options = options;
  }

  /** Never rejects: what kept a cell from being played is its problem. */
  async play(row: Runnable): Promise<Played> {
    const played = await this.#playOnStage(row).catch((thrown: unknown): Played => {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      const problems = [`the cell could not be played: ${why}`];
      return { cell: cellId(row.cell), ok: false, problems, outcome: 'unplayed', tookMs: 0 };
    });
    await this.#afterwards(played);
    return played;
  }

  /** To be called at the end, whatever happened. */
  async close(): Promise<void> {
    await this.#stage?.close();
    this.#stage = undefined;
  }

  async #playOnStage({ cell, expect }: Runnable): Promise<Played> {
    // Disks that can be filled need a stage of their own.
    const smallDisks = needsSmallDisks(cell);
    if (smallDisks !== this.#smallDisks) await this.close();
    this.#smallDisks = smallDisks;
    this.#stage ??= await Stage.open({ hosts: 2, smallDisks });
    if (!this.#stage.guests.has(GUEST)) await this.#stage.boot(GUEST, 'a');
    return play(this.#stage, cell, expect, this.#options.seed);
  }

  /** Goes on with the same stage where nothing is amiss in it. */
  async #afterwards(played: Played): Promise<void> {
    const stage = this.#stage;
    const { evidence } = this.#options;
    if (stage === undefined) return;
    if (!played.ok) {
      if (evidence !== undefined) await keepEvidence(stage.lab, played, evidence);
      await this.close();
      return;
    }
    const [host] = played.runningOn ?? [];
    if (host === undefined || !(await stage.canMove(GUEST))) await stage.bury(GUEST);
    else stage.guests.set(GUEST, host);
  }
}

function needsSmallDisks({ fault }: Runnable['cell']): boolean {
  return fault === 'disk-full';
}

/** Those that share a stage together. */
export function inPlayingOrder(rows: readonly Runnable[]): Runnable[] {
  return rows.toSorted(
    (left, right) => Number(needsSmallDisks(left.cell)) - Number(needsSmallDisks(right.cell)),
  );
}

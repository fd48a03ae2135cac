/** Plays cells, each lane one after the other, on stages that are kept while what a cell left allows it. */
import { cellId, hasDisks, isContainer, losesPower } from './cell.ts';
import { chanceOf } from './chance.ts';
import { playContainer } from './containers/play.ts';
import { BOX } from './containers/plan.ts';
import { keepEvidence } from './evidence.ts';
import { GUEST, play, type PlayResult } from './play.ts';
import { playPower } from './power/play.ts';
import { Stage } from './stage.ts';
import type { Row } from './table.ts';

export type Runnable = Extract<Row, { run: true }>;

/** Of the time that chance gave the fault after its moment; 0: at once. */
const EARLIER = [0.25, 0] as const;

export interface PlayerOptions {
  readonly seed: number;
  /** One of several that play at once, each in a lab of its own. */
  readonly lane?: number;
  /** Where the journals and logs of red cells are copied to. */
  readonly evidence?: string | undefined;
}

export class Player {
  readonly #options: PlayerOptions;
  #stage: Stage | undefined;
  #kind: Kind = 'plain';

  constructor(options: PlayerOptions) {
    this.#options = options;
  }

  /**
   * Plays a cell until its fault strikes, three times at most: each time it strikes earlier after its moment. Never rejects:
   * what kept a cell from being played is its problem.
   */
  async play(row: Runnable): Promise<PlayResult> {
    const first = chanceOf(this.#options.seed, cellId(row.cell));
    let played = await this.#playOnce(row, first);
    for (const share of EARLIER) {
      if (played.missed === undefined || played.problems.length > 0) break;
      played = await this.#playOnce(row, first * share);
    }
    return played;
  }

  async #playOnce(row: Runnable, chance: number): Promise<PlayResult> {
    const played = await this.#playOnStage(row, chance).catch((thrown: unknown): PlayResult => {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      const problems = [`the cell could not be played: ${why}`];
      return { cell: cellId(row.cell), ok: false, problems, outcome: 'unplayed', tookMs: 0 };
    });
    // Its guest may have arrived on the storage that went with the fault.
    if (row.cell.fault === 'storage-error' && played.ok) await this.close();
    else await this.#afterwards(played);
    return played;
  }

  /** To be called at the end, whatever happened. */
  async close(): Promise<void> {
    await this.#stage?.close();
    this.#stage = undefined;
  }

  async #playOnStage({ cell, expect }: Runnable, chance: number): Promise<PlayResult> {
    const kind = kindOf(cell);
    if (kind !== this.#kind) await this.close();
    this.#kind = kind;
    const request = { smallDisks: kind === 'small-disks', localDisks: kind === 'local-disks' };
    const { lane = 0 } = this.#options;
    const powerCuts = kind === 'power';
    const hosts = powerCuts ? 3 : 2;
    const containers = kind === 'boxes';
    this.#stage ??= await Stage.open({ hosts, lane, containers, powerCuts, ...request });
    if (kind === 'boxes') {
      if (!this.#stage.guests.has(BOX)) await this.#stage.bootBox('a');
      return playContainer(this.#stage, cell, expect, chance);
    }
    if (!this.#stage.guests.has(GUEST)) await this.#stage.boot(GUEST, 'a');
    if (powerCuts) return playPower(this.#stage, cell, expect, chance);
    return play(this.#stage, cell, expect, chance);
  }

  /** Goes on with the same stage where nothing is amiss in it. */
  async #afterwards(played: PlayResult): Promise<void> {
    const stage = this.#stage;
    const { evidence } = this.#options;
    if (stage === undefined) return;
    if (played.problems.length > 0) {
      if (evidence !== undefined) await keepEvidence(stage.lab, played, evidence);
      await this.close();
      return;
    }
    const [host] = played.runningOn ?? [];
    if (this.#kind === 'boxes') {
      // What is left of one that died is somebody else's to look at.
      if (host === undefined) await this.close();
      else stage.guests.set(BOX, host);
      return;
    }
    // After a loss of power each cell has a guest of its own: what other hosts keep of the last one is out of date.
    const isNew = this.#kind === 'power' || host === undefined;
    if (isNew || !(await stage.canMove(GUEST))) await stage.removeGuest(GUEST);
    else stage.guests.set(GUEST, host);
  }
}

/** Disks that can be filled need a stage of their own, and so do guests that have disks, hosts that lose their power, and containers. */
const KINDS = ['plain', 'small-disks', 'local-disks', 'power', 'boxes'] as const;
type Kind = (typeof KINDS)[number];

function kindOf(cell: Runnable['cell']): Kind {
  if (isContainer(cell)) return 'boxes';
  if (losesPower(cell)) return 'power';
  if (hasDisks(cell)) return 'local-disks';
  return cell.fault === 'disk-full' ? 'small-disks' : 'plain';
}

/** Those that share a stage together. */
export function inPlayingOrder(rows: readonly Runnable[]): Runnable[] {
  return rows.toSorted(
    (left, right) => KINDS.indexOf(kindOf(left.cell)) - KINDS.indexOf(kindOf(right.cell)),
  );
}

/** Those from one cell on, in the order of play; none if there is no such cell. */
export function fromCell(rows: readonly Runnable[], from: string | undefined): Runnable[] {
  if (from === undefined) return [...rows];
  const at = rows.findIndex(({ cell }) => cellId(cell) === from);
  return at === -1 ? [] : rows.slice(at);
}

/** The first cell that was not played to its end: lanes play side by side, so that later ones may have been. */
export function nextCell(
  rows: readonly Runnable[],
  played: readonly Pick<PlayResult, 'cell'>[],
): string | undefined {
  const over = new Set(played.map(({ cell }) => cell));
  return rows.map(({ cell }) => cellId(cell)).find((id) => !over.has(id));
}

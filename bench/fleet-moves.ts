import { godwitError } from '../src/errors.ts';
import type { LoadFigures } from './fleet-load.ts';
import type { MigrationSummary } from '../src/protocol/public/migration.ts';

interface Move {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly startedAt: string;
  isDone: boolean;
}

/** What the load’s hosts know of moves, all together: none ends before they are released, and then each does. */
export class Moves {
  readonly #moves = new Map<string, Move>();
  /** Of each host those that leave it or come to it. */
  readonly #ofHost = new Map<string, string[]>();
  /** Of guests that moved: the host where each is now. */
  readonly #at = new Map<string, string>();
  readonly #moved: (guest: string, from: string, to: string) => void;
  #mayEnd = false;
  #mostAtOnce = 0;
  #twice = 0;

  /** `moved` hears of each that ended. */
  constructor(moved: (guest: string, from: string, to: string) => void) {
    this.#moved = moved;
  }

  /** As an agent answers: false where it was asked for before. */
  put(
    id: string,
    asked: { readonly guest: string; readonly from: string; readonly to: string },
  ): boolean {
    if (this.#moves.has(id)) return false;
    const { guest } = asked;
    if (this.#open().some((each) => each.guest === guest)) this.#twice += 1;
    const move = { ...asked, startedAt: new Date().toISOString(), isDone: false };
    this.#moves.set(id, move);
    for (const host of [asked.from, asked.to])
      this.#ofHost.set(host, [...(this.#ofHost.get(host) ?? []), id]);
    this.#mostAtOnce = Math.max(this.#mostAtOnce, this.#open().length);
    if (this.#mayEnd) this.#end(move);
    return true;
  }

  of(id: string): MigrationSummary {
    const move = this.#moves.get(id);
    if (move === undefined) throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: 'the load' });
    const { guest, from, to, startedAt, isDone } = move;
    return {
      id,
      guest,
      from,
      to,
      startedAt,
      mode: 'precopy',
      side: 'source',
      phase: isDone ? 'done' : 'memory',
      elapsedMs: Date.now() - Date.parse(startedAt),
      percent: isDone ? 100 : 50,
      moverAlive: !isDone,
    };
  }

  newestOf(host: string, most: number): MigrationSummary[] {
    const ids = this.#ofHost.get(host) ?? [];
    return ids
      .slice(-most)
      .toReversed()
      .map((id) => this.of(id));
  }

  /** Every move ends, also those that come later. */
  release(): void {
    this.#mayEnd = true;
    for (const move of this.#open()) this.#end(move);
  }

  whereIs(guest: string): string | undefined {
    return this.#at.get(guest);
  }

  guestsMovedTo(host: string): string[] {
    return [...this.#at].filter(([, at]) => at === host).map(([guest]) => guest);
  }

  figures(): LoadFigures['moves'] {
    return {
      begun: this.#moves.size,
      open: this.#open().length,
      mostAtOnce: this.#mostAtOnce,
      twice: this.#twice,
    };
  }

  #open(): Move[] {
    return [...this.#moves.values()].filter(({ isDone }) => !isDone);
  }

  #end(move: Move): void {
    move.isDone = true;
    this.#at.set(move.guest, move.to);
    this.#moved(move.guest, move.from, move.to);
  }
}

import { mergeRows } from '../../../src/controller/inventory/claims.ts';
import { HostBook } from '../../../src/controller/inventory/host-book.ts';
import {
  guestKey,
  type NewGuest,
  type Pending,
} from '../../../src/controller/inventory/pending.ts';
import type { Overview, OverviewGuest } from '../../../src/protocol/controller/overview.ts';
import type { HostNews } from '../../../src/protocol/public/hosts/host-event.ts';
import {
  guestInfo,
  type GuestInfo,
  type HostInfo,
} from '../../../src/protocol/public/hosts/host.ts';
import { isSuperseded } from '../../../src/protocol/public/moving.ts';
import type { FleetChange } from '../../../web/src/base/news.ts';
import { FleetModel } from '../../../web/src/fleet/model.ts';
import { take } from '../../web/fleet-samples.ts';
import { HOST } from './hosts.ts';
import { HOSTS, type Look } from './moves.ts';

const INFO = { name: '', processor: { cores: 1 } } as HostInfo;

type Row = NewGuest & { readonly changed_at: number };

/** A controller: the books of its hosts, its table of guests, and the events that pages hear. */
export class Controller {
  nowMs = 1;
  readonly events: FleetChange[] = [];
  readonly #rows = new Map<string, Map<string, Row>>();
  readonly #books = new Map<string, HostBook>();

  constructor() {
    for (const name of HOSTS) {
      this.#rows.set(name, new Map());
      const book = new HostBook(
        { ...HOST, name },
        {
          write: (change) => this.#write(name, change),
          publish: (news) =>
            this.events.push({ ...(news as FleetChange), id: this.#idOf(this.events.length + 1) }),
          reportHost: () => {},
          followed: () => {},
          moved: () => {},
          nowMs: () => this.nowMs,
        },
      );
      this.#books.set(name, book);
    }
  }

  hears(host: string, news: HostNews): void {
    this.#books.get(host)?.event({ id: '0', ...news });
  }

  hearsAll({ host, guests, left }: Look): void {
    this.#books.get(host)?.all({ ...INFO, name: host }, guests, left);
  }

  /** As the inventory does after it has written. */
  release(): void {
    for (const book of this.#books.values())
      for (const left of book.held()) {
        const others = this.#reports().filter(
          ({ host, name }) => host !== left.host && name === left.name,
        );
        if (isSuperseded(left, others)) book.release(left);
      }
  }

  /** Where the list has each guest. */
  places(name: string): string[] {
    return mergeRows(this.#all(), this.nowMs)
      .filter(({ row }) => row.name === name)
      .map(({ row }) => row.host);
  }

  guestsAt(host: string): number {
    return this.#books.get(host)?.row.guests ?? 0;
  }

  overview(): Overview {
    const merged = mergeRows(this.#all(), this.nowMs);
    const guests = merged.map(({ row: { name, host, state, info }, others }): OverviewGuest => {
      const { uuid, epoch, migration, moving } = guestInfo.parse(JSON.parse(info));
      const at = HOSTS.findIndex((each) => each === host);
      const known = [name, at, 1, guestInfo.shape.state.parse(state)] as const;
      return state === 'running' && others.length === 0
        ? [...known]
        : [...known, { uuid, epoch, migration, moving }];
    });
    const hosts = HOSTS.map((name): Overview['hosts'][number] => [
      name,
      'up',
      1,
      1,
      1,
      null,
      null,
      0,
      0,
    ]);
    return { at: '', after: this.#idOf(this.events.length), hosts, guests };
  }

  /** The table of guests. */
  rows(): Row[] {
    return this.#all();
  }

  #idOf(count: number): string {
    return `0123456789ab-${count}`;
  }

  #all(): Row[] {
    return [...this.#rows.values()].flatMap((own) => [...own.values()]);
  }

  #reports(): GuestInfo[] {
    return this.#all().map(({ info }) => guestInfo.parse(JSON.parse(info)));
  }

  #write(host: string, { replace, upserts, gone }: Partial<Pending>): boolean {
    const rows = this.#rows.get(host);
    if (replace !== undefined) rows?.clear();
    for (const key of gone?.keys() ?? []) rows?.delete(key);
    for (const row of [...(replace ?? []), ...(upserts?.values() ?? [])])
      rows?.set(guestKey(row), { ...row, changed_at: this.nowMs });
    return true;
  }
}

/** A page: events, and overviews, each of which may be of an earlier moment than the newest event that was heard. */
export class Page {
  readonly #model = new FleetModel();
  readonly #heard: FleetChange[] = [];
  #old: Overview | undefined;

  hears(news: FleetChange | undefined): void {
    if (news === undefined) return;
    this.#heard.push(news);
    this.#model.apply(news);
  }

  get heard(): number {
    return this.#heard.length;
  }

  /** The database is asked; the answer comes later. */
  asks(controller: Controller): void {
    this.#old = controller.overview();
  }

  looks(): void {
    if (this.#old === undefined) return;
    take(this.#model, this.#old);
    for (const news of this.#heard) this.#model.apply(news);
  }

  places(name: string): string[] {
    return [...this.#model.hosts.values()].flatMap(({ guests }) =>
      guests.filter((each) => each.name === name).map(({ host }) => host),
    );
  }

  get guestCount(): number {
    return this.#model.guestCount;
  }
}

/** Streams of hosts, of which each keeps its order. */
export class Streams {
  readonly #waiting = new Map<string, (HostNews | Look)[]>();
  readonly #newest = new Map<string, Look>();

  add(look: Look): void {
    this.#newest.set(look.host, look);
    const waiting = this.#waiting.get(look.host) ?? [];
    this.#waiting.set(look.host, [...waiting, ...look.news]);
  }

  /** The stream breaks: what waits is lost, and the follower asks for all that the host has then. */
  breaks(host: string): void {
    const look = this.#newest.get(host);
    if (look !== undefined) this.#waiting.set(host, [look]);
  }

  deliver(host: string, controller: Controller): void {
    const [next, ...rest] = this.#waiting.get(host) ?? [];
    this.#waiting.set(host, rest);
    if (next === undefined) return;
    if ('news' in next) controller.hearsAll(next);
    else controller.hears(host, next);
  }

  get isEmpty(): boolean {
    return [...this.#waiting.values()].every((each) => each.length === 0);
  }
}

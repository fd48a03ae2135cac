import { isOfLease } from './leases.ts';
import type { HostState } from '../../protocol/controller/fleet.ts';
import { guestInfo, hostInfo } from '../../protocol/public/host.ts';
import type { GuestInfo, HostInfo } from '../../protocol/public/host.ts';
import type { Store } from '../store/open.ts';
import { managedIn } from './managed-facts.ts';
import type { ManagedFacts } from './managed-facts.ts';
import { claimants, identityOf } from './claims.ts';

/** A host as all controllers know it. `info`: what it said of itself last. */
export interface SnapshotHost {
  readonly name: string;
  readonly address: string;
  readonly state: HostState;
  /** ms since 1970: since when it is in that state; of one that is silent, when it was heard of last. */
  readonly sinceMs: number;
  readonly silentSinceMs: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly memoryAvailableBytes: number | undefined;
  readonly cores: number | undefined;
  readonly info: HostInfo | undefined;
  /** Where a manager speaks for it. */
  readonly managed: ManagedFacts | undefined;
}

/** A guest as one host last reported it. `claimedBy`: all hosts that say they run it, where there is more than one. */
export interface SnapshotGuest {
  readonly host: string;
  readonly claimedBy: readonly string[];
  readonly info: GuestInfo;
}

export interface FleetSnapshot {
  readonly nowMs: number;
  readonly hosts: readonly SnapshotHost[];
  readonly guests: readonly SnapshotGuest[];
}

interface ParsedRow<T> {
  readonly text: string;
  readonly value: T;
}

/** Parses texts of rows. A row that still has the text of the last round is what it was then: most of a fleet stays as it is. */
class ParsedRows<T> {
  readonly #parse: (text: string) => T;
  #last = new Map<string, ParsedRow<T>>();

  constructor(parse: (text: string) => T) {
    this.#parse = parse;
  }

  /** One round: all rows of a table. */
  round<R>(
    rows: readonly R[],
    of: (row: R) => { key: string; text: string | null },
  ): (T | undefined)[] {
    const now = new Map<string, ParsedRow<T>>();
    const values = rows.map((row) => {
      const { key, text } = of(row);
      if (text === null) return undefined;
      const before = this.#last.get(key);
      const known = before?.text === text ? before : { text, value: this.#parse(text) };
      now.set(key, known);
      return known.value;
    });
    this.#last = now;
    return values;
  }
}

/** What the last snapshot of a database held, so that the next one parses only what is new. Nobody changes what is in it. */
export class SnapshotMemory {
  readonly hosts = new ParsedRows((text) => hostInfo.parse(JSON.parse(text)));
  readonly guests = new ParsedRows((text) => guestInfo.parse(JSON.parse(text)));
}

/** All hosts and guests at one moment, for whoever plans. A host of which nobody who follows it now has said anything is `unfollowed`. */
export async function fleetSnapshot(
  store: Store,
  memory = new SnapshotMemory(),
): Promise<FleetSnapshot> {
  return store.transaction(async (db) => {
    const { nowMs } = await db
      .selectFrom('counters')
      .select(store.nowMs.as('nowMs'))
      .limit(1)
      .executeTakeFirstOrThrow();
    const query = db.selectFrom('host_leases');
    const leases = await query.select(['shard', 'epoch', 'lease_until as untilMs']).execute();
    const byShard = new Map(leases.map((lease) => [lease.shard, lease]));
    const hosts = await db.selectFrom('hosts').selectAll().orderBy('name').execute();
    const guests = await db.selectFrom('guests').selectAll().orderBy('name').execute();
    const byIdentity = Map.groupBy(guests, identityOf);
    const hostInfos = memory.hosts.round(hosts, ({ name, info }) => ({ key: name, text: info }));
    const guestInfos = memory.guests.round(guests, (row) => ({
      key: `${row.host} ${identityOf(row)}`,
      text: row.info,
    }));
    return {
      nowMs,
      hosts: hosts.map((row, index) => {
        const lease = byShard.get(row.shard);
        const isKnown = isOfLease(row, lease, nowMs);
        const state = isKnown ? (row.state as HostState) : 'unfollowed';
        return {
          name: row.name,
          address: row.address,
          state,
          sinceMs: isKnown ? row.since : Math.min(lease?.untilMs ?? 0, nowMs),
          silentSinceMs: state === 'silent' ? row.since : undefined,
          memoryBytes: row.memory_bytes ?? undefined,
          memoryAvailableBytes: row.memory_available_bytes ?? undefined,
          cores: row.cores ?? undefined,
          info: hostInfos[index],
          managed: managedIn(row),
        };
      }),
      guests: guests.flatMap((row, index) => {
        const info = guestInfos[index];
        const claimedBy = claimants(byIdentity.get(identityOf(row)) ?? [], nowMs);
        return info === undefined ? [] : [{ host: row.host, claimedBy, info }];
      }),
    };
  });
}

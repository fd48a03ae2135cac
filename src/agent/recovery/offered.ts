import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { toGodwitError } from '../../errors.ts';
import { writeWhole } from '../../system/files/whole-file.ts';
import type { Log } from '../../log.ts';
import type { StandbyOfferRecord } from '../../migration/standby/offers.ts';
import { guestName, hostName } from '../../protocol/names.ts';
import { layoutDigest } from '../../protocol/peer/standby.ts';

/** Guests of this host, each at a few other hosts; a record takes about 200 bytes. */
const MAX_OFFERS = 8192;

const offerRecord = z.object({
  guest: guestName,
  to: hostName,
  digest: layoutDigest,
  labelled: z.boolean(),
  isRefused: z.boolean().optional(),
  isWithdrawn: z.boolean().optional(),
});
const offersFile = z.object({
  version: z.literal(1),
  offers: z.array(offerRecord).max(MAX_OFFERS),
});

export const keyOf = ({ guest, to }: Pick<StandbyOfferRecord, 'guest' | 'to'>): string =>
  `${guest} ${to}`;

export class OfferedStandbys {
  readonly #file: string;
  readonly #offers: Map<string, StandbyOfferRecord>;

  constructor(stateDir: string, log: Log) {
    this.#file = path.join(stateDir, 'offered-standbys.json');
    this.#offers = new Map(this.#read(log).map((each) => [keyOf(each), each]));
  }

  all(): StandbyOfferRecord[] {
    return [...this.#offers.values()];
  }

  of(offer: Pick<StandbyOfferRecord, 'guest' | 'to'>): StandbyOfferRecord | undefined {
    return this.#offers.get(keyOf(offer));
  }

  /** Offers beyond the bound are not confirmed and become stale. */
  put(...records: readonly StandbyOfferRecord[]): void {
    for (const each of records) {
      if (this.#offers.size < MAX_OFFERS || this.#offers.has(keyOf(each)))
        this.#offers.set(keyOf(each), each);
    }
    this.#write();
  }

  remove(...records: readonly Pick<StandbyOfferRecord, 'guest' | 'to'>[]): void {
    for (const each of records) this.#offers.delete(keyOf(each));
    this.#write();
  }

  #write(): void {
    writeWhole(this.#file, `${JSON.stringify({ version: 1, offers: this.all() })}\n`);
  }

  /**
   * Without a record nothing is confirmed: other hosts refuse to start those guests until they are offered again. A
   * controller requests that once an hour.
   */
  #read(log: Log): StandbyOfferRecord[] {
    try {
      return offersFile.parse(JSON.parse(readFileSync(this.#file, 'utf8'))).offers;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT')
        log.warn({ error: toGodwitError(thrown) }, 'record of offered standbys is unreadable');
      return [];
    }
  }
}

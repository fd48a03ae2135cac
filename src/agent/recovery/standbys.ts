import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../errors.ts';
import { writeWhole } from '../../host/whole-file.ts';
import { guestName, hostName, moment } from '../../protocol/names.ts';
import { standbyOffer } from '../../protocol/peer/standby.ts';
import type { StandbyOffer } from '../../protocol/peer/standby.ts';
import { MOST_STANDBYS } from '../../protocol/public/recovery.ts';
import type { Standby } from '../../protocol/public/recovery.ts';

/** Guests of one host that are kept here. */
const MOST_OF_ONE = 1024;
/** A description of a guest is some 10 KiB. */
const MOST_BYTES = 256 * 1024;

const keptStandby = standbyOffer.extend({
  version: z.literal(1),
  keptAt: moment,
  /** Names the places of this host in the preparation, in hexadecimal. It never leaves this host. */
  placeKey: z.string().regex(/^[0-9a-f]{64}$/),
});
export type KeptStandby = z.infer<typeof keptStandby>;

/** What this host keeps of guests of other hosts: `stateDir/standbys/HOST/GUEST.json`. */
export class Standbys {
  readonly #dir: string;
  readonly #host: string;
  readonly #mostOfOne: number;
  /** By host, then guest. Read once: nobody else writes there. */
  readonly #kept = new Map<string, Map<string, Standby>>();

  constructor(stateDir: string, host: string, mostOfOne = MOST_OF_ONE) {
    this.#mostOfOne = mostOfOne;
    this.#dir = path.join(stateDir, 'standbys');
    this.#host = host;
    for (const from of namesIn(this.#dir, hostName, ''))
      for (const guest of namesIn(path.join(this.#dir, from), guestName, '.json')) {
        const found = this.#read(from, guest);
        if (found !== undefined) this.#know(from, guest, found);
      }
  }

  list(): Standby[] {
    return [...this.#kept.values()].flatMap((each) => [...each.values()]).slice(0, MOST_STANDBYS);
  }

  /** It lies on the disk when this returns, in the place of what was kept of that guest of that host. */
  keep(offer: StandbyOffer, placeKey: string, keptAt: string): void {
    const { guest, from } = offer.admission;
    const ofHost = this.#kept.get(from);
    const all = [...this.#kept.values()].reduce((sum, each) => sum + each.size, 0);
    const isNew = ofHost?.has(guest) !== true;
    if (isNew && ((ofHost?.size ?? 0) >= this.#mostOfOne || all >= MOST_STANDBYS)) {
      const what = `${this.#host}, in guests of ${from} that it is a standby of,`;
      throw godwitError('GODWIT_OVERLOADED', { what, limit: this.#mostOfOne });
    }
    const kept: KeptStandby = { version: 1, ...offer, placeKey, keptAt };
    const text = `${JSON.stringify(kept)}\n`;
    if (Buffer.byteLength(text) > MOST_BYTES) {
      throw godwitError('GODWIT_TOO_LARGE', { what: `a standby of ${guest}`, limit: MOST_BYTES });
    }
    const file = this.#file(from, guest);
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    writeWhole(file, text);
    this.#know(from, guest, kept);
  }

  /** GODWIT_STANDBY_NONE where nothing is kept, or what lies there cannot be read. */
  need(from: string, guest: string): KeptStandby {
    const found = this.#read(from, guest);
    if (found !== undefined) return found;
    throw godwitError('GODWIT_STANDBY_NONE', { host: this.#host, guest, from });
  }

  forget(from: string, guest: string): void {
    this.#kept.get(from)?.delete(guest);
    rmSync(this.#file(from, guest), { force: true });
  }

  #know(from: string, guest: string, { admission, keptAt }: KeptStandby): void {
    const { memoryBytes } = admission;
    const ofHost = this.#kept.get(from) ?? new Map<string, Standby>();
    this.#kept.set(from, ofHost.set(guest, { guest, from, memoryBytes, keptAt }));
  }

  #read(from: string, guest: string): KeptStandby | undefined {
    try {
      const found = keptStandby.parse(JSON.parse(readFileSync(this.#file(from, guest), 'utf8')));
      const { admission } = found;
      return admission.from === from && admission.guest === guest ? found : undefined;
    } catch {
      // It is not there, or of another build: nothing is started by it.
      return undefined;
    }
  }

  #file(from: string, guest: string): string {
    return path.join(this.#dir, from, `${guest}.json`);
  }
}

/** Names in a directory that have that shape; none where it is not there. */
function namesIn(directory: string, shape: z.ZodType<string>, ending: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith(ending))
    .map((name) => name.slice(0, name.length - ending.length))
    .filter((name) => shape.safeParse(name).success);
}

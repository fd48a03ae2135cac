import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { writeWhole, writeWholeInPieces } from '../../system/files/whole-file.ts';
import type { ImageStamp } from '../../migration/standby/image-stamps.ts';
import { bootTime as bootTimeShape, guestName, hostName, moment } from '../../protocol/names.ts';
import { imageStamps, layoutDigest, standbyOffer } from '../../protocol/peer/standby.ts';

const AT_ONCE = 32;

const keptStandby = standbyOffer.extend({
  version: z.literal(1),
  keptAt: moment,
  /** The same by the clock that cannot be set; absent: an earlier build. */
  boot: bootTimeShape.optional(),
  /** Key that names this host's places in the preparation, hexadecimal. It never leaves this host. */
  placeKey: z.string().regex(/^[0-9a-f]{64}$/),
});
export type KeptStandby = z.infer<typeof keptStandby>;

/**
 * `digest`: the last one that the guest's host reported; the description is current only if it has the same. `boot`:
 * the moment of `confirmedAt` by the clock that cannot be set; absent: an earlier build.
 */
const confirmation = z.object({
  confirmedAt: moment.optional(),
  boot: bootTimeShape.optional(),
  digest: layoutDigest,
  /** Moment of the report of `digest`; absent: an earlier build. */
  reported: bootTimeShape.optional(),
  images: imageStamps.optional(),
  missedBeats: z.number().int().nonnegative().optional(),
});
export type Confirmation = z.infer<typeof confirmation>;
const confirmationsFile = z.object({
  version: z.literal(1),
  guests: z.record(guestName, confirmation),
});

export type ConfirmationRecord = Omit<Confirmation, 'images'> & {
  readonly images?: readonly ImageStamp[] | undefined;
};
export type Confirmations = readonly (readonly [guest: string, ConfirmationRecord])[];

/** Files of a standby host: `stateDir/standbys/HOST/GUEST.json`, and each host's confirmations next to them. */
export class StandbyFiles {
  readonly #dir: string;

  constructor(stateDir: string) {
    this.#dir = path.join(stateDir, 'standbys');
  }

  hosts(): string[] {
    return namesIn(this.#dir, hostName, '');
  }

  guests(from: string): string[] {
    return namesIn(path.join(this.#dir, from), guestName, '.json');
  }

  write(from: string, guest: string, text: string): void {
    const file = this.#file(from, guest);
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    writeWhole(file, text);
  }

  remove(from: string, guest: string): void {
    rmSync(this.#file(from, guest), { force: true });
  }

  removeAll(from: string): void {
    rmSync(path.join(this.#dir, from), { recursive: true, force: true });
  }

  /** Durable when this resolves. One write per host at a time. */
  writeConfirmations(from: string, all: Confirmations): Promise<void> {
    return writeWholeInPieces(this.#confirmationsFile(from), confirmationsText(all));
  }

  /** Empty if they cannot be read: nothing counts as confirmed then. */
  readConfirmations(from: string): ReadonlyMap<string, Confirmation> {
    try {
      const text = readFileSync(this.#confirmationsFile(from), 'utf8');
      return new Map(Object.entries(confirmationsFile.parse(JSON.parse(text)).guests));
    } catch {
      return new Map();
    }
  }

  read(from: string, guest: string): KeptStandby | undefined {
    try {
      const found = keptStandby.parse(JSON.parse(readFileSync(this.#file(from, guest), 'utf8')));
      const { admission } = found;
      return admission.from === from && admission.guest === guest ? found : undefined;
    } catch {
      // The file is missing or of another build; no guest is started by it.
      return undefined;
    }
  }

  #file(from: string, guest: string): string {
    return path.join(this.#dir, from, `${guest}.json`);
  }

  #confirmationsFile(from: string): string {
    return path.join(this.#dir, from, 'confirmed');
  }
}

function* confirmationsText(all: Confirmations): Generator<string> {
  yield '{"version":1,"guests":{';
  for (let at = 0; at < all.length; at += AT_ONCE) {
    const entries = all
      .slice(at, at + AT_ONCE)
      .map(([guest, each]) => `${JSON.stringify(guest)}:${JSON.stringify(each)}`);
    yield `${at === 0 ? '' : ','}${entries.join(',')}`;
  }
  yield '}}\n';
}

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

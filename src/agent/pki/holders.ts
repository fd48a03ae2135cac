import type { X509Certificate } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { plainSerial } from '../../protocol/peer/fleet.ts';
import { MAX_TWO_HOLDERS, type TwoHolders } from '../../protocol/public/trust.ts';

/** Whoever shows a renewed certificate over and over has its host looked at so often, ms. */
const AGAIN_MS = 5000;
/** A host takes its renewed certificate into use at once: what it shows so long after somebody showed that one is its own, ms. */
const SETTLED_MS = 30_000;

export interface HoldersDependencies {
  readonly clock: Clock;
  readonly log: Log;
  /** The certificate that a host shows where the fleet reaches it; rejects where it is not reached. */
  readonly certificateAt: (name: string) => Promise<X509Certificate>;
  /** The name in a certificate that is the last one, was renewed, and has not ended those before it. */
  readonly renewed: (shown: X509Certificate) => string | undefined;
  /** Those before it count no more. */
  readonly end: (shown: X509Certificate) => void;
}

interface Look {
  /** When its renewed certificate was first shown while the host itself showed another one. */
  firstMs: number | undefined;
  lookedMs: number;
  underWay: boolean;
  reported: TwoHolders | undefined;
}

/**
 * Beside the CA: who uses a renewed certificate. It ends those before it only once the host itself, where the fleet reaches
 * it, shows it too: whoever has stolen a certificate and renews it locks nobody out, and two who use one name are reported.
 */
export class Holders {
  readonly #deps: HoldersDependencies;
  readonly #looks = new Map<string, Look>();

  constructor(deps: HoldersDependencies) {
    this.#deps = deps;
  }

  /** Hosts of which somebody else uses the renewed certificate, as far as was seen since this agent began. */
  get two(): TwoHolders[] {
    return [...this.#looks.values()]
      .flatMap(({ reported }) => reported ?? [])
      .slice(0, MAX_TWO_HOLDERS);
  }

  /** Somebody has shown `shown`, and so has its key. Never rejects. */
  async saw(shown: X509Certificate): Promise<void> {
    const { clock, renewed } = this.#deps;
    const name = renewed(shown);
    if (name === undefined) return;
    const nowMs = clock.monotonicMs();
    const look = this.#looks.get(name) ?? newLook();
    if (look.underWay || nowMs - look.lookedMs < AGAIN_MS) return;
    this.#looks.set(name, look);
    Object.assign(look, { underWay: true, lookedMs: nowMs });
    try {
      await this.#look(name, shown, look);
    } finally {
      look.underWay = false;
    }
  }

  async #look(name: string, shown: X509Certificate, look: Look): Promise<void> {
    const { clock, log, certificateAt, end } = this.#deps;
    let there: X509Certificate;
    try {
      there = await certificateAt(name);
    } catch (thrown) {
      log.debug({ why: toGodwitError(thrown).message }, `${name} not seen with its certificate`);
      return;
    }
    if (there.serialNumber === shown.serialNumber) {
      this.#looks.delete(name);
      return end(shown);
    }
    look.firstMs ??= clock.monotonicMs();
    if (look.reported !== undefined || clock.monotonicMs() - look.firstMs < SETTLED_MS) return;
    look.reported = {
      name,
      serial: plainSerial(shown.serialNumber),
      shownByHost: plainSerial(there.serialNumber),
      at: new Date(clock.wallMs()).toISOString(),
    };
    log.error(look.reported, `another host uses the newest certificate of ${name}`);
  }

  /** The last one of `name` was revoked or replaced since. */
  settled(isCurrent: (reported: TwoHolders) => boolean): void {
    for (const [name, { reported }] of this.#looks) {
      if (reported !== undefined && !isCurrent(reported)) this.#looks.delete(name);
    }
  }
}

const newLook = (): Look => ({
  firstMs: undefined,
  lookedMs: Number.NEGATIVE_INFINITY,
  underWay: false,
  reported: undefined,
});

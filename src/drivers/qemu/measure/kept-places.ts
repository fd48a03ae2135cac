import { systemClock } from '../../../clock.ts';
import { sampleDirty } from '../../../host/memory-sample/dirty-sample.ts';
import type { Place } from '../../../host/memory-sample/process-pages.ts';
import type { CurvePoint } from '../../../protocol/public/prediction.ts';
import type { QemuHandle } from '../handle.ts';
import type { QmpClient } from '../qmp/client.ts';
import { onPagesOf, readPlace } from './measure.ts';

/** QEMUs whose place is kept; the one that was asked longest ago goes first. */
const MOST = 4096;

/**
 * Looks at what guests write again and again. Where memory lies in its process is asked for once in the life of a QEMU, and
 * kept: its monitor serves one client at a time, and is not held while its pages are looked at.
 */
export class KeptPlaces {
  readonly #known = new Map<string, Place>();

  /** Undefined where its pages cannot be read. */
  async sample(
    handle: QemuHandle,
    connect: () => Promise<QmpClient>,
    signal: AbortSignal,
  ): Promise<CurvePoint | undefined> {
    const place = await this.#of(handle, connect, signal);
    if (place === undefined) return undefined;
    return onPagesOf(handle, place, (pages) => sampleDirty(pages, systemClock, signal));
  }

  async #of(
    { pid, startTicks }: QemuHandle,
    connect: () => Promise<QmpClient>,
    signal: AbortSignal,
  ): Promise<Place | undefined> {
    const key = `${pid} ${startTicks}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const client = await connect();
    try {
      const place = await readPlace(client, signal);
      if (place !== undefined) this.#known.set(key, place);
      const [oldest] = this.#known.keys();
      if (this.#known.size > MOST && oldest !== undefined) this.#known.delete(oldest);
      return place;
    } finally {
      client.close();
    }
  }
}

import { systemClock } from '../../../clock.ts';
import { sampleDirty } from '../../../host/memory-sample/dirty-sample.ts';
import type { CurvePoint } from '../../../protocol/public/prediction.ts';
import type { QemuHandle } from '../handle.ts';
import type { QmpClient } from '../qmp/client.ts';
import { ofAll, onPagesOf, readPlace } from './measure.ts';

type PlaceEntry = NonNullable<Awaited<ReturnType<typeof readPlace>>> & { readonly atMs: number };

const MAX = 4096;
/** Memory may be plugged in during this time, ms. */
const ASKED_AGAIN_MS = 3_600_000;

/**
 * Samples guests' writes repeatedly. A guest's memory address is queried once per hour and kept, because its
 * monitor serves one client at a time and should not be held while pages are read.
 */
export class KeptPlaces {
  readonly #known = new Map<string, PlaceEntry>();

  async sample(
    handle: QemuHandle,
    connect: () => Promise<QmpClient>,
    signal: AbortSignal,
  ): Promise<CurvePoint | undefined> {
    const known = await this.#of(handle, connect, signal);
    if (known === undefined) return undefined;
    const { place, memoryBytes } = known;
    const found = await onPagesOf(handle, place, (pages) =>
      sampleDirty(pages, systemClock, signal),
    );
    return found === undefined ? undefined : ofAll(found, place, memoryBytes);
  }

  async #of(
    { pid, startTicks }: QemuHandle,
    connect: () => Promise<QmpClient>,
    signal: AbortSignal,
  ): Promise<PlaceEntry | undefined> {
    const key = `${pid} ${startTicks}`;
    const known = this.#known.get(key);
    const nowMs = systemClock.monotonicMs();
    if (known !== undefined && nowMs - known.atMs < ASKED_AGAIN_MS) return known;
    const client = await connect();
    try {
      const found = await readPlace(client, signal);
      const read = found === undefined ? undefined : { ...found, atMs: nowMs };
      this.#known.delete(key);
      if (read !== undefined) this.#known.set(key, read);
      const [oldest] = this.#known.keys();
      if (this.#known.size > MAX && oldest !== undefined) this.#known.delete(oldest);
      return read;
    } finally {
      client.close();
    }
  }
}

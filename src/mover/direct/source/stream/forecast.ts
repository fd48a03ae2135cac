import { systemClock } from '../../../../clock.ts';
import { toGodwitError } from '../../../../errors.ts';
import { offerOf } from '../../../../host/wire.ts';
import type { StepFacts } from '../../../../migration/direct/source/source-state.ts';
import type { DiskLatency } from '../../../../protocol/disk.ts';
import { streamModeOf } from '../../../../protocol/public/migration.ts';
import type { GuestMeasure } from '../../../../protocol/public/prediction.ts';
import { settingsNow, type MoverParts } from '../source-base.ts';
import type { DiskLatencies } from '../disks/disk-latencies.ts';
import type { Processors } from '../../../../migration/prediction/facts.ts';
import type { Surroundings } from '../../../shared/surroundings.ts';
import type { WireOffer } from '../../../../protocol/wire.ts';
import { leftOf } from '../../../engine/time-limit.ts';

/** Maximum wait for unfinished looks, ms. */
const MAX_WAIT_MS = 200;
const MAX_WORDS = 1024;

type Dependencies = Pick<MoverParts, 'guest' | 'request' | 'state' | 'config' | 'dispatch'> & {
  readonly latencies: Pick<DiskLatencies, 'now'>;
};
type MeasureResult = { readonly measured: GuestMeasure } | { readonly why: string };

/**
 * Predicts a migration without a plan, for its report. Looks at the guest while the destination is prepared, so that
 * the migration waits for nothing.
 */
export class Forecast {
  readonly #deps: Dependencies;
  readonly #enough = new AbortController();
  /** Not a step's signal, because the look spans several steps. */
  readonly #over = new AbortController();
  #measuring: Promise<MeasureResult> | undefined;
  /** The destination's offer at its admission; absent with an earlier build, and after a takeover. */
  #offer: WireOffer | undefined;
  readonly #load: Surroundings['processorLoad'];

  constructor(deps: Dependencies, load: Surroundings['processorLoad']) {
    this.#deps = deps;
    this.#load = load;
  }

  begin(): void {
    if (!isWanted(this.#deps)) return;
    this.#measuring ??= this.#measure(this.#over.signal);
  }

  admitted(offer: WireOffer | undefined): void {
    this.#offer = offer;
  }

  close(): void {
    this.#over.abort();
  }

  /** Prediction from the current facts, or the reason for none. Never throws. */
  async facts(signal: AbortSignal): Promise<Pick<StepFacts, 'prediction' | 'unpredicted'>> {
    if (!isWanted(this.#deps) || this.#deps.state().known.prediction !== undefined) return {};
    this.#enough.abort();
    const late = systemClock
      .sleep(MAX_WAIT_MS, signal)
      .then(() => ({ why: `the guest was not looked at within ${MAX_WAIT_MS} ms` }));
    const measuring = this.#measuring ?? {
      why: 'the mover that had begun to look at the guest ended',
    };
    try {
      const found = await Promise.race([measuring, late]);
      if ('why' in found) return { unpredicted: found.why.slice(0, MAX_WORDS) };
      const counted = this.#deps.latencies.now(signal);
      const latency = await Promise.race([counted, late]);
      const known = 'why' in latency ? [] : latency;
      const seen = { latency: known, offer: this.#offer, load: this.#load?.() };
      return { prediction: await predictionOf(this.#deps, found.measured, seen) };
    } catch (thrown) {
      signal.throwIfAborted();
      return { unpredicted: toGodwitError(thrown).message.slice(0, MAX_WORDS) };
    } finally {
      late.catch(() => undefined);
      this.close();
    }
  }

  async #measure(signal: AbortSignal): Promise<MeasureResult> {
    const { guest, state } = this.#deps;
    try {
      const { unpredicted } = await import('../../../../migration/prediction/plan.ts');
      const why = unpredicted(guest.capabilities, streamModeOf(state().plan.settings.mode));
      if (why !== undefined) return { why };
      const session = await guest.session(signal);
      if (session.measure === undefined)
        return { why: `the driver ${session.handle.driver} cannot look at what a guest writes` };
      return { measured: await session.measure(signal, { enough: this.#enough.signal }) };
    } catch (thrown) {
      return { why: toGodwitError(thrown).message };
    }
  }
}

/** Not needed after a plan, or if the guest shuts down and sends no memory. */
function isWanted({ request, state }: Dependencies): boolean {
  return request.prediction === undefined && state().plan.settings.mode !== 'cold';
}

interface ForecastFacts {
  readonly latency: readonly DiskLatency[];
  readonly offer: WireOffer | undefined;
  readonly load: Processors | undefined;
}

/** Counted as in a plan, so that learning applies to both. */
function processorsOf({ offer, load }: ForecastFacts, cores: number): Processors[] {
  if (offer === undefined) return [{ cores }];
  return load === undefined ? [{ cores }, { cores: offer.cores }] : [load, offer];
}

async function predictionOf(
  context: Dependencies,
  measured: GuestMeasure,
  seen: ForecastFacts,
): Promise<NonNullable<StepFacts['prediction']>> {
  const { planned } = await import('../../../../migration/prediction/plan.ts');
  const { expectedLatencies } = await import('../../../../migration/prediction/disk-latency.ts');
  const { bytesToCopy } = await import('../../../../migration/prediction/disk-copy.ts');
  const { END_MS } = await import('../../../../migration/prediction/parameters.ts');
  const { prediction } = await import('../../../../protocol/public/prediction.ts');
  const { request, config, state, guest } = context;
  const { plan, known } = state();
  const settings = settingsNow(context);
  const { mode, streams, compress, compressLevel, maxBandwidth } = settings;
  const own = offerOf(config, plan.guest, plan.to);
  const { link } = request;
  const [askedAtMs, nowMs] = [Date.parse(request.createdAt), systemClock.wallMs()];
  const passedMs = Math.max(0, nowMs - (known.beganAtMs ?? askedAtMs));
  const { copies = [], description } = known;
  const nodes = copies.map(({ node }) => node);
  const bytes = nodes.length > 0 ? bytesToCopy(description?.disks ?? [], nodes) : undefined;
  const { writtenBytesPerS } = request;
  const { latency, offer } = seen;
  const expected = expectedLatencies(latency, { link, maxBandwidth, own: [] });
  return prediction.parse({
    ...(expected.length === 0 ? {} : { diskLatency: expected }),
    ...planned({
      ...measured,
      link,
      ownMoves: request.ownMoves,
      disks: bytes === undefined ? undefined : { bytes, writtenBytesPerS },
      processors: processorsOf(seen, own.cores),
      // Elapsed time is known, only the end is not.
      aroundMs: passedMs + END_MS,
      settings: {
        ...settings,
        timeoutMs: Math.max(1, leftOf(state(), askedAtMs, nowMs) + passedMs),
      },
      asked: {
        mode: streamModeOf(mode),
        path: known.path?.takes ?? 'native',
        stream: known.path?.stream ?? { streams, compress, compressLevel },
      },
      capabilities: guest.capabilities,
      knowsGuest: own.knowsGuest && offer?.knowsGuest !== false,
    }),
  });
}

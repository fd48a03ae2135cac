import type { SourceSession } from '../../../../port/direct.ts';
import { withDeadline } from '../../../../deadline.ts';
import { godwitError } from '../../../../errors.ts';
import type { StepFacts } from '../../../../migration/direct/source/source-state.ts';
import type { DataPathFacts } from '../../../../migration/prediction/data-path.ts';
import { streamModeOf, type Check } from '../../../../protocol/public/migration.ts';
import type { Preparation } from '../../../../protocol/peer/migration.ts';
import type { WireOffer } from '../../../../protocol/wire.ts';
import type { Knows } from '../../../../host/memory-sample/pages.ts';
import { offerOf } from '../../../../host/wire.ts';
import { askAhead, saidLink, settingsNow, type LookDependencies } from '../source-base.ts';

const MAX_WORDS = 1024;
const LOOK_MS = 1000;
/** Part of it for the destination's cache, mostly link time, ms. */
const KNOWN_MS = 700;
/** Stops after one look. */
const ONE_LOOK = AbortSignal.abort();

/**
 * Chooses memory's data path, given the destination's offer. GODWIT_CAPABILITY if the requested wire is unavailable.
 */
export async function chooseDataPath(
  deps: LookDependencies,
  {
    wire: offer,
    memoryBytes,
  }: { readonly wire: WireOffer | undefined; readonly memoryBytes: number },
  signal: AbortSignal,
): Promise<Pick<StepFacts, 'path'>> {
  const { config, dataPath, request } = deps;
  const { guest, to } = deps.state().plan;
  const settings = settingsNow(deps);
  const { byRelay } = deps.peer;
  const { transport = 'tcp' } = settings;
  if (byRelay && transport !== 'tcp') {
    const facts = { what: `--transport ${transport}`, reason: 'a relay carries the wire alone' };
    throw godwitError('GODWIT_CAPABILITY', facts, { hint: 'Leave the option out.' });
  }
  if (!byRelay && settings.mode === 'cold') return {};
  if (!byRelay && (settings.path === undefined || settings.path === 'native')) return {};
  const { decideDataPath, goesByPages, linkToChooseBy, wireObstacle } =
    await import('../../../../migration/prediction/data-path.ts');
  const facts: DataPathFacts = {
    reachable: deps.guest.mayReachUs,
    own: dataPath.offered ? offerOf(config, guest, to) : undefined,
    offer,
    byRelay,
    memoryBytes,
    ...linkToChooseBy(saidLink(deps)),
    measured: request.measured,
    ownMoves: request.ownMoves,
  };
  const looks = request.measured === undefined && goesByPages(settings, facts);
  const seen = looks
    ? { ...facts, measured: await mixOf(deps, wireObstacle(settings, facts) === undefined, signal) }
    : facts;
  const choice = decideDataPath(settings, seen);
  if (choice.takes !== 'neither') return { path: choice };
  const hint = byRelay
    ? 'A relay carries the wire alone: leave out what it does not take, or upgrade Godwit on the host that is named.'
    : 'Leave --path wire out, or upgrade Godwit on the host that is named.';
  const what = byRelay ? 'moving through a relay' : '--path wire';
  throw godwitError('GODWIT_CAPABILITY', { what, reason: choice.reason }, { hint });
}

/**
 * Content of the guest's memory from one look at a few pages, with the share in the destination's cache if the wire
 * is possible; undefined if unreadable. Writes would take seconds to measure, and a migration does not wait for that.
 */
async function mixOf(
  deps: LookDependencies,
  mayWire: boolean,
  over: AbortSignal,
): Promise<DataPathFacts['measured']> {
  try {
    return await withDeadline('a look at the pages', LOOK_MS, over, async (signal) => {
      const knows = mayWire ? knownThere(deps, signal) : undefined;
      const session = await deps.guest.session(signal);
      const measured = await session.measure?.(signal, { enough: ONE_LOOK }, knows);
      return measured?.mix === undefined ? undefined : { mix: measured.mix, curve: [] };
    });
  } catch {
    over.throwIfAborted();
    return undefined;
  }
}

async function knownThere(deps: LookDependencies, signal: AbortSignal): Knows {
  const { askKnown } = await import('../ask-known.ts');
  return askKnown(deps.config, deps.state().plan, (body) =>
    withDeadline('what the cache there has', KNOWN_MS, signal, (within) =>
      askAhead(deps, within, (api) =>
        api.known({ body }, { signal: within, deadlineMs: KNOWN_MS }),
      ),
    ),
  );
}

type ChosenPath = NonNullable<StepFacts['path']>;

/** Replaces a chosen stream that this guest's hypervisor cannot send by the requested one. */
export async function streamFrom(
  { state }: LookDependencies,
  session: SourceSession,
  signal: AbortSignal,
): Promise<Pick<StepFacts, 'path'>> {
  const { path } = state().known;
  if (path?.stream === undefined) return {};
  const { mode } = state().plan.settings;
  const reason = await session.whyNot({ mode: streamModeOf(mode), ...path.stream }, signal);
  return reason === undefined ? {} : { path: plainly(path, reason) };
}

/** The destination's findings; a chosen stream that its hypervisor cannot receive is replaced likewise. */
export async function assessStream<T extends { readonly checks: readonly Check[] }>(
  { state }: LookDependencies,
  body: Preparation,
  assess: (body: Preparation) => Promise<T>,
): Promise<{ readonly answer: T } & Pick<StepFacts, 'path'>> {
  const answer = await assess(body);
  const { path } = state().known;
  const refused = answer.checks.find(
    ({ name, verdict }) => name === 'stream' && verdict === 'refuse',
  );
  if (path?.stream === undefined || refused === undefined) return { answer };
  const { streams, compress } = state().plan.settings;
  const { compressLevel: _chosen, ...stream } = body.stream;
  const plain = { ...body, stream: { ...stream, streams, compress } };
  return { answer: await assess(plain), path: plainly(path, refused.evidence) };
}

function plainly({ takes, why }: ChosenPath, reason: string): ChosenPath {
  return { takes, why: `${why}; as one plain stream: ${reason}`.slice(0, MAX_WORDS) };
}

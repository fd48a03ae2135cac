import { driverSaid } from '../../drivers/registry.ts';
import { hasCode, toGodwitError, godwitError } from '../../errors.ts';
import { pass, refusal, warn } from '../../migration/preflight/check.ts';
import type { CheckName } from '../../migration/preflight/table.ts';
import { lookAtPath } from '../../host/machine/path-look.ts';
import { hostFactsOf } from '../../host/machine/host-facts.ts';
import {
  initialSource,
  type SourceState,
  type StepFacts,
} from '../../migration/direct/source-state.ts';
import { chooseDataPath } from '../direct/source/stream/choose-data-path.ts';
import { GuestConnections } from '../direct/source/network/connections.ts';
import { checksOfHosts } from '../direct/source/host-checks.ts';
import { assessGuest, examineStorage, inspectGuest } from '../direct/source/examine.ts';
import type { SourceGuest } from '../direct/source/guest/guest.ts';
import { type LookDependencies, preparation } from '../direct/source/source-base.ts';
import { askKnown } from '../direct/source/ask-known.ts';
import { routesTo } from '../direct/source/network/networks.ts';
import type { Knows } from '../../host/memory-sample/pages.ts';
import { launchOf } from '../direct/source/step-actions.ts';
import { defined } from '../../protocol/defined.ts';
import { fullAddress } from '../../protocol/names.ts';
import { routesOf } from '../../protocol/network.ts';
import type { Admission } from '../../protocol/peer/migration.ts';
import type { PreflightAnswer } from '../../protocol/peer/preflight.ts';
import { firstHops, rendezvousOf } from '../../protocol/relay.ts';
import { migrationSettings, type Check } from '../../protocol/public/migration.ts';
import type { CheckDependencies, Examined } from './questions.ts';
import type { GuestMeasure } from '../../protocol/public/prediction.ts';
import type { BalloonTake } from '../../migration/prediction/ballooned-mix.ts';
import { whyNoAnswer } from './no-answer.ts';

/** The destination answers within this, ms; the last may ask a segment that is silent. */
const ADMISSION_MS = 8000;
/** Of each question that times the path to the destination. */
const QUESTION_MS = 2000;
const STORAGE_MS = 10_000;
const ASSESS_MS = 15_000;
/** The guest is looked at for three seconds of these; a plan waits for the rest only where the destination is slow, ms. */
const KNOWN_MS = 6000;
/** Memory that goes from hypervisor to hypervisor arrives at a port of its own. */
const NATIVE_PORTS = 2;
const WIRE_PORTS = 1;

export interface Examining extends CheckDependencies, Examined {
  readonly guest: SourceGuest;
  /** Called with what a migration would do, each time that more of it is known. */
  readonly learned?: (
    facts: Pick<StepFacts, 'path' | 'copies' | 'description'>,
    offer: PreflightAnswer['wire'],
  ) => void;
  /** The same of what `--balloon` would take of the guest. */
  readonly ballooned?: (take: BalloonTake) => void;
  /** What the guest was measured to be, where it was. */
  readonly measured?: GuestMeasure | undefined;
  /** The same of what its devices send while it is stopped, by their drivers’ word. */
  readonly stated?: (stateBytes: number) => void;
}

/**
 * What a migration would look at before it builds anything, in the same order and by the same code: the steps `admit`,
 * `inspect` and `assess` without a mover at the destination. A refusal does not end it, so that all of them are reported.
 */
export async function examine(asked: Examining, signal: AbortSignal): Promise<Check[]> {
  const checks: Check[] = [];
  const state = new LookState(asked);
  const add = async <T>(name: CheckName, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (thrown) {
      signal.throwIfAborted();
      checks.push(refusal(name, toGodwitError(thrown), 'both'));
      return undefined;
    }
  };
  const admission = await admissionOf(asked, signal);
  const parts = lookDependencies(asked, state, admission);
  const answer = await askAdmission(asked, admission, signal);
  checks.push(...answer.checks);
  if (answer.reported !== undefined) {
    const { wire } = answer.reported;
    await add('path', async () => state.learn(await chooseDataPath(parts, wire, signal)));
    asked.learned?.(state.read().known, answer.reported.wire);
  }
  const inspected = await add('state', () => inspectGuest(parts, signal));
  checks.push(...(inspected?.checks ?? []));
  if (inspected?.balloon !== undefined) asked.ballooned?.(inspected.balloon);
  if (inspected === undefined) return checks;
  asked.stated?.(inspected.stateBytes);
  await add('restart', () => launchable(asked, signal));
  const known = await add('network', () => inspected.facts(signal));
  state.learn(known ?? {});
  if (known?.description === undefined || answer.reported === undefined) return checks;
  const found = await add('disks', () => examineStorage(parts, signal));
  checks.push(...(found?.storage.checks ?? []));
  const lacksDisks = found?.storage.checks.some(({ verdict }) => verdict === 'refuse') ?? true;
  const nothing = {
    storage: { places: [], copies: [], copied: [], below: [], bases: [], checks: [] },
    facts: {},
  };
  const isRefused = checks.some(({ verdict }) => verdict === 'refuse');
  const reported = await assessGuest(parts, found ?? nothing, signal).catch((thrown: unknown) => {
    signal.throwIfAborted();
    // What is refused here is described in part alone, and what the other host makes of that says nothing.
    if (!isRefused) checks.push(refusal('destination', toGodwitError(thrown), 'both'));
    return undefined;
  });
  asked.learned?.({ ...state.read().known, ...reported?.facts }, answer.reported.wire);
  const others = reported?.checks ?? [];
  checks.push(...(lacksDisks ? others.filter(({ name }) => name !== 'disks') : others));
  if (asked.standby === true && reported !== undefined) {
    state.learn(reported.facts);
    await add('destination', () => offerStandby(asked, parts, { admission, checks }, signal));
  }
  return checks;
}

/** What is known so far, as a migration's state holds it. */
class LookState {
  #state: SourceState;

  constructor({ id, config, request }: Examining) {
    this.#state = initialSource({
      type: 'planned',
      id,
      guest: request.guest,
      from: config.name,
      to: request.to,
      epoch: 1,
      settings: migrationSettings.parse(request),
      bootId: '',
    }).state;
  }

  readonly read = (): SourceState => this.#state;

  learn(facts: StepFacts): void {
    this.#state = { ...this.#state, known: { ...this.#state.known, ...facts } };
  }
}

/** As the step `admit` says it; what the guest does not report now is said with the check `state`. */
async function admissionOf(
  { id, config, request, seen, driver, memoryBytes: found = 0, guest }: Examining,
  signal: AbortSignal,
): Promise<Admission> {
  const { vcpus, macs, unbridged } = seen;
  const reported = <T>(question: Promise<T>, otherwise: T): Promise<T> =>
    question.catch(() => {
      signal.throwIfAborted();
      return otherwise;
    });
  const routes = unbridged === true ? await reported(routesTo({ guest }, signal), []) : [];
  const memoryBytes = await reported(guest.neededBytes(found, signal), found);
  return {
    id,
    guest: request.guest,
    from: config.name,
    memoryBytes,
    ...defined({ vcpus, macs }),
    ...(routes.length === 0 ? {} : { routes }),
    epoch: 1,
    timeoutMs: request.timeoutMs,
    settings: migrationSettings.parse(request),
    ...driverSaid(driver),
  };
}

/** Of the destination's agent, before there is a migration. Also undefined where it lets the guest not in. Never rejects. */
export async function askAgentKnown(asked: Examining, signal: AbortSignal): Knows {
  const { config, request, guest, peers } = asked;
  // A container's memory goes by no wire.
  if (request.mode === 'cold' || guest.capabilities.rounds === 'content') return undefined;
  return askKnown(config, request, async (cache) => {
    const body = { admission: await admissionOf(asked, signal), ports: WIRE_PORTS, cache };
    return peers.preflight(request.to).preflightKnown({ body }, { signal, deadlineMs: KNOWN_MS });
  });
}

/** The destination's agent in the place of its mover, which has not been started. */
function lookDependencies(
  asked: Examining,
  state: LookState,
  admission: Admission,
): LookDependencies {
  const { config, id, request, seen, guest, peers, measured } = asked;
  const api = peers.preflight(request.to);
  return {
    config,
    guest,
    state: state.read,
    request: { id, request, memoryBytes: admission.memoryBytes, ...seen, measured },
    connections: new GuestConnections(),
    dataPath: { offered: true },
    peer: {
      byRelay: rendezvousOf(peers.address(request.to) ?? '') !== undefined,
      resume: () => undefined,
      call: (_id, signal, question) =>
        question({
          storage: ({ body }) =>
            api.preflightStorage(
              { body: { admission, proof: body } },
              { signal, deadlineMs: STORAGE_MS },
            ),
          known: ({ body }, within) =>
            api.preflightKnown({ body: { admission, ports: WIRE_PORTS, cache: body } }, within),
          assess: ({ body }) =>
            api.preflightAssess(
              {
                body: {
                  admission: { ...admission, routes: routesOf(body.networks ?? []) },
                  preparation: body,
                },
              },
              { signal, deadlineMs: ASSESS_MS },
            ),
        }),
    },
  };
}

async function askAdmission(
  { config, clock, peers, request, seen }: Examining,
  admission: Admission,
  signal: AbortSignal,
): Promise<{ readonly checks: readonly Check[]; readonly reported?: PreflightAnswer }> {
  const { to } = request;
  const ports = request.path === 'wire' ? WIRE_PORTS : NATIVE_PORTS;
  try {
    const options = { signal, deadlineMs: ADMISSION_MS };
    const question = (within: AbortSignal): Promise<unknown> =>
      peers.linkProbe(to, '', { signal: within, deadlineMs: QUESTION_MS });
    const own = await hostFactsOf(config, clock)();
    const askedMs = clock.wallMs();
    const reported = await peers.preflight(to).preflight({ body: { admission, ports } }, options);
    const answered = pass('destination', `${to} answers`, 'both');
    const answeredMs = clock.wallMs();
    const both = checksOfHosts({
      to,
      source: own,
      destination: reported.host,
      askedMs,
      answeredMs,
      // Not beside the question: what that takes of this process would be taken for the path.
      ...(await lookAtPath(peers.address(to) ?? '', question, signal)),
      link: seen.link,
      memoryBytes: admission.memoryBytes,
      mayPostcopy: request.mode !== 'precopy',
      paths: firstHops(pathsTo(peers, request), config.relays),
      transport: request.transport,
      siteCheck: request.returnIfUnhealthy?.check,
      balloon: request.balloon,
    });
    return { checks: [answered, ...reported.checks, ...both], reported };
  } catch (thrown) {
    signal.throwIfAborted();
    if (!hasCode(thrown, 'GODWIT_ROUTE_UNKNOWN')) {
      const why = await whyNoAnswer(thrown, { to, address: peers.address(to) }, signal);
      return { checks: [refusal('destination', why, 'both')] };
    }
    const evidence = `${to} runs a build that answers no checks: it was not asked`;
    const hint = `Upgrade Godwit on ${to}; a migration to it makes these checks once it has begun.`;
    return { checks: [warn('destination', evidence, hint, 'both')] };
  }
}

/** All addresses that a migration would use: those that it was given, or those of the configuration. */
function pathsTo(
  peers: Examining['peers'],
  { to, pathAddresses }: Examining['request'],
): readonly string[] {
  const main = peers.address(to);
  if (main === undefined) return [];
  const further = pathAddresses ?? peers.furtherAddresses(to);
  return [main, ...further.map((each) => fullAddress(each, main))];
}

/** With `--on-lost restart` the way to start the guest anew has to be known. */
async function launchable(
  { request, guest, handle }: Examining,
  signal: AbortSignal,
): Promise<void> {
  if (request.onLost !== 'restart') return;
  await launchOf(await guest.session(signal), handle, signal);
}

const ANSWER_MS = 10_000;

/** Where nothing speaks against a cold move, the destination keeps what a cold move would give it. */
async function offerStandby(
  { request, peers, labels, digest, guest: held }: Examining,
  deps: LookDependencies,
  { admission, checks }: { readonly admission: Admission; readonly checks: Check[] },
  signal: AbortSignal,
): Promise<void> {
  const { guest, to } = request;
  const { onThisHost } = await held.inspect(signal);
  if (onThisHost !== undefined) {
    const reason = `${onThisHost} is on its host alone, and is lost with it`;
    const lost = godwitError('GODWIT_CAPABILITY', { what: `to start ${guest} elsewhere`, reason });
    checks.push(refusal('devices', lost));
  }
  const body = preparation(deps);
  if ((body.copies ?? []).length + (body.bases ?? []).length > 0) {
    const device = body.copies?.[0]?.node ?? body.bases?.[0]?.node ?? '';
    const reason = `${to} would need a copy of it, and nobody can make one of a host that is dead`;
    const facts = { host: to, guest, device, reason };
    checks.push(refusal('disks', godwitError('GODWIT_DISK_MISSING', facts), 'both'));
  }
  if (checks.some(({ verdict }) => verdict === 'refuse')) return;
  const offered = {
    ...admission,
    routes: routesOf(body.networks ?? []),
    settings: migrationSettings.parse(request),
    ...defined({ labels }),
  };
  await peers.preflight(to).keepStandby(
    {
      params: { guest },
      body: {
        admission: offered,
        preparation: body,
        ...defined({ digest }),
      },
    },
    { deadlineMs: ANSWER_MS, signal },
  );
}

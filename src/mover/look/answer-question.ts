import { withDeadline } from '../../deadline.ts';
import type { DirectDriver } from '../../port/direct.ts';
import { godwitError, toGodwitError } from '../../errors.ts';
import { bytesToCopy } from '../../migration/prediction/disk-copy.ts';
import { defined } from '../../protocol/defined.ts';
import { refusal } from '../../migration/preflight/check.ts';
import type { Admission, Assessment, StorageAnswer } from '../../protocol/peer/migration.ts';
import type { KnownAnswer } from '../../protocol/wire.ts';
import type { SourceGuest } from '../direct/source/guest/guest.ts';
import type { Examination } from './direct.ts';
import { RequestLook } from './request-look.ts';
import type {
  CheckDependencies,
  CheckerQuestion,
  ExaminationRequest,
  ExaminedHost,
} from './questions.ts';

const HOSTS_AT_ONCE = 4;
const HOST_MS = 40_000;
const MAX_WORDS = 4096;

type Of<W extends CheckerQuestion['what']> = Extract<CheckerQuestion, { what: W }>;

/** Answers a question with a mover's code, loaded on demand; begins and keeps nothing. */
export async function answerQuestion(
  deps: CheckDependencies,
  question: CheckerQuestion,
  onHost: (host: ExaminedHost) => void,
  signal: AbortSignal,
): Promise<StorageAnswer | Assessment | KnownAnswer | null> {
  switch (question.what) {
    case 'storage':
      return storage(deps, question);
    case 'assess':
      return assessed(deps, question, signal);
    case 'known':
      return known(deps, question);
    case 'examine':
      await examineAll(deps, question, onHost, signal);
      return null;
  }
}

async function storage(
  { config }: CheckDependencies,
  { admission, proof, placeKey }: Of<'storage'>,
): Promise<StorageAnswer> {
  const { answerStorage } = await import('../direct/destination/disks/storage.ts');
  return answerStorage({ config, placeIds: await placeIdsOf(placeKey) }, admission, proof);
}

async function known(
  { config }: CheckDependencies,
  { admission, cache }: Of<'known'>,
): Promise<KnownAnswer> {
  const { answerKnown } = await import('../direct/destination/known.ts');
  return answerKnown(config, admission, cache);
}

async function assessed(
  deps: CheckDependencies,
  { admission, preparation, placeKey, calledAt }: Of<'assess'>,
  signal: AbortSignal,
): Promise<Assessment> {
  const driver = await driverFor(deps, admission);
  const { assess } = await import('../direct/destination/assess.ts');
  const { GuestPorts } = await import('../direct/destination/nic-ports.ts');
  const { destinationOptions } = await import('../direct/destination/destination-context.ts');
  const ports = new GuestPorts(deps.config, () => deps.clock.monotonicMs());
  const config = { ...deps.config, bridges: ports.bridges };
  const known = { config, ports, placeIds: await placeIdsOf(placeKey) };
  const options = destinationOptions(config, { admission, handle: undefined }, calledAt);
  const session = await driver.openDestination(options);
  try {
    return await assess(known, admission, session, preparation, signal);
  } finally {
    await session.close();
  }
}

async function driverFor(
  { config, drivers }: CheckDependencies,
  { driver: said }: Admission,
): Promise<DirectDriver> {
  const { driverSaid, isManaged } = await import('../../drivers/registry.ts');
  const found = drivers.find(({ name }) => name === said || driverSaid(name).driver === said);
  if (found !== undefined && !isManaged(found)) return found;
  const reason = `${config.name} has no driver ${said ?? ''} that takes hold of guests itself`;
  throw godwitError('GODWIT_CAPABILITY', { what: 'to take the guest', reason });
}

async function placeIdsOf(placeKey: string) {
  const { PlaceIds } = await import('../direct/destination/disks/place-ids.ts');
  const key = Buffer.from(placeKey, 'hex');
  return new PlaceIds(() => key);
}

async function examineAll(
  deps: CheckDependencies,
  { hosts, deadlineMs, measure = false }: Of<'examine'>,
  onHost: (host: ExaminedHost) => void,
  signal: AbortSignal,
): Promise<void> {
  const guest = new HeldGuest(deps);
  const until = performance.now() + deadlineMs;
  const left = [...hosts];
  const worker = async (): Promise<void> => {
    for (let each = left.shift(); each !== undefined; each = left.shift()) {
      const withinMs = Math.min(HOST_MS, until - performance.now());
      onHost(await oneHost(deps, each, guest, { withinMs, measure }, signal));
    }
  };
  try {
    await Promise.all(Array.from({ length: HOSTS_AT_ONCE }, worker));
  } finally {
    await guest.close();
  }
}

/** A destination's timeout is a refusing check, and does not affect the others. */
async function oneHost(
  deps: CheckDependencies,
  asked: ExaminationRequest,
  held: HeldGuest,
  { withinMs, measure }: { readonly withinMs: number; readonly measure: boolean },
  signal: AbortSignal,
): Promise<ExaminedHost> {
  const { request } = asked;
  const { to } = request;
  const { askManager, managerOf, measureByManager } = await import('./managed.ts');
  const manager = managerOf(deps.drivers, asked);
  if (manager !== undefined) {
    const { lookAtPath } = await import('../../host/machine/path-look.ts');
    const given = { here: deps.config.name, withinMs, peers: deps.peers, lookAtPath };
    const asking = askManager(manager, asked, given, signal);
    if (!measure) return { to, checks: (await asking).checks };
    const measuring = measureByManager(manager, asked, withinMs, signal);
    const [found, measured] = await Promise.all([asking, measuring]);
    const takes = request.path === 'wire' ? 'wire' : 'native';
    return { to, ...found, path: { takes }, ...measured };
  }
  const { examine } = await import('./direct.ts');
  const what = `to check ${request.guest} against ${to}`;
  const requests = new RequestLook(() => held.open(asked));
  try {
    const guest = await held.open(asked);
    return await withDeadline(what, Math.max(0, withinMs), signal, async (within) => {
      const measuring = measure ? measureGuest(deps, asked, guest, within) : Promise.resolve({});
      // The path's choice depends on it.
      const first: Pick<ExaminedHost, 'measured'> = request.path === 'auto' ? await measuring : {};
      const examining = examine({ ...deps, ...asked, guest, ...first }, within);
      const looking = examining.then(({ known }) => {
        if (measure) requests.begin((known.copies ?? []).map(({ node }) => node));
      });
      const [examination, measured] = await Promise.all([examining, measuring, looking]);
      const latency = await requests.take();
      const reachable = guest.mayReachUs;
      return { to, reachable, ...examinedBy(examination), ...measured, ...latency };
    });
  } catch (thrown) {
    signal.throwIfAborted();
    return { to, checks: [refusal('destination', toGodwitError(thrown), 'both')] };
  } finally {
    await requests.take();
  }
}

function examinedBy(examination: Examination): Omit<ExaminedHost, 'to'> {
  const { checks, isAnswered, known, wire: offer, balloon, stateBytes } = examination;
  const { path, copies = [], description } = known;
  const nodes = copies.map(({ node }) => node);
  return {
    checks: [...checks],
    ...(path && { path: { takes: path.takes, ...defined({ stream: path.stream }) } }),
    ...(isAnswered && { copiesDisks: nodes.length > 0 }),
    ...(nodes.length > 0 && defined({ diskBytes: bytesToCopy(description?.disks ?? [], nodes) })),
    ...defined({ offer, balloon, stateBytes }),
  };
}

/** A guest that cannot be measured can still move. */
async function measureGuest(
  deps: CheckDependencies,
  asked: ExaminationRequest,
  guest: SourceGuest,
  signal: AbortSignal,
): Promise<Pick<ExaminedHost, 'measured' | 'unmeasured'>> {
  try {
    const session = await guest.session(signal);
    if (session.measure === undefined) return { unmeasured: 'its driver does not measure guests' };
    const { askAgentKnown } = await import('./direct.ts');
    const knows = askAgentKnown({ ...deps, ...asked, guest }, signal);
    return { measured: await session.measure(signal, undefined, knows) };
  } catch (thrown) {
    signal.throwIfAborted();
    return { unmeasured: toGodwitError(thrown).message.slice(0, MAX_WORDS) };
  }
}

/** One attachment to the guest's hypervisor for all destinations: a monitor has one client. */
class HeldGuest {
  readonly #deps: CheckDependencies;
  #guest: Promise<SourceGuest> | undefined;

  constructor(deps: CheckDependencies) {
    this.#deps = deps;
  }

  open(asked: ExaminationRequest): Promise<SourceGuest> {
    this.#guest ??= this.#openNow(asked);
    return this.#guest;
  }

  async #openNow({ handle, request }: ExaminationRequest): Promise<SourceGuest> {
    const { isManaged } = await import('../../drivers/registry.ts');
    const driver = this.#deps.drivers.find(({ name }) => name === handle.driver);
    if (driver === undefined || isManaged(driver)) {
      throw godwitError('GODWIT_INTERNAL', { what: 'a guest of no driver that could be asked' });
    }
    const { SourceGuest: Guest } = await import('../direct/source/guest/guest.ts');
    return new Guest(driver, handle, request, () => undefined);
  }

  async close(): Promise<void> {
    await (await this.#guest?.catch(() => undefined))?.close();
  }
}

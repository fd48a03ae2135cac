import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../../clock.ts';
import type { Tunnel } from '../../../../disks/copy/tunnel/open.ts';
import type { DiskSample, DiskSource } from '../../../../port/disks.ts';
import { godwitError, hasCode, toGodwitError } from '../../../../errors.ts';
import type { LinkMeasure } from '../../../../links/session.ts';
import type { Log } from '../../../../log.ts';
import { mayWaitFor, answerTimeoutMs } from '../../../../migration/steering/disk-pace.ts';
import { isCold } from '../../../../migration/direct/cold.ts';
import { worthReporting } from '../../../../migration/report/disks.ts';
import { DEFAULT_LINK_GRACE_MS } from '../../../../protocol/public/migration.ts';
import { diskLinkReport } from '../../../shared/wire-report.ts';
import {
  busy,
  DiskConvergence,
  failed,
  isInStep,
  isNearlyWhole,
  progressOf,
} from './disk-convergence.ts';
import { ask, sessionIfThere, settingsNow, type MoverParts } from '../source-base.ts';
import { SwitchHold } from '../stream/switch-hold.ts';
import type { TimedCap } from '../stream/timed-cap.ts';
import type { UnderWay } from '../stream/under-way.ts';
import { openTunnel } from './tunnel.ts';

type Dependencies = MoverParts & {
  readonly timedCap: Pick<TimedCap, 'saw'>;
  readonly underWay: Pick<UnderWay, 'downtimeMs'>;
};

const LOOK_MS = 200;
const ANSWER_MS = 15_000;
/** Maximum attempts to resume stalled copies while the path is open. */
const MAX_TRIES = 8;
const GETS_ON_BYTES = 1024 ** 2;
/** Time for a new session after the links return, ms; copies that stood for this long have progressed. */
const AFTER_GRACE_MS = 60_000;
/** Silence of the other host until the hypervisor is disconnected, ms; its main loop may wait for it. */
const MAY_BE_SILENT_MS = 5000;

export class SourceDisks {
  readonly #deps: Dependencies;
  readonly #log: Log;
  #tunnel: Tunnel | undefined;
  #mover: string | undefined;
  #recorded: readonly DiskSample[] = [];
  areWhole = false;
  /** Resumes without progress: start, end, count, and cuts of the path by then. */
  #stuck: Record<'copied' | 'since' | 'until' | 'tries' | 'cuts', number> | undefined;
  readonly #convergence = new DiskConvergence();
  isFinishing = false;
  readonly #closeThere: CloseThere;
  readonly #openTunnel: typeof openTunnel;
  readonly #switchHold: SwitchHold;

  constructor(deps: Dependencies, log: Log, open = openTunnel) {
    this.#deps = deps;
    this.#log = log;
    this.#openTunnel = open;
    this.#closeThere = new CloseThere(deps, log);
    this.#switchHold = new SwitchHold(deps, log);
  }

  /** The session repairs cut links by itself for a while. */
  get isOpen(): boolean {
    return this.#tunnel !== undefined;
  }

  /** The hypervisor must not stop the guest, because a copy has no path. */
  get holdsSwitch(): boolean {
    return this.#switchHold.isHolding;
  }

  get link(): LinkMeasure | undefined {
    return this.#tunnel?.measure;
  }

  limit(bytesPerS: number | undefined): void {
    this.#tunnel?.limit(bytesPerS);
  }

  /** Copies until each disk is in sync, while the guest runs; also resumes an earlier mover's copies. */
  async copy(signal: AbortSignal): Promise<void> {
    await this.#attach(signal);
    for (;;) {
      const disks = await this.#look(signal);
      if (disks.every(isNearlyWhole)) return;
      await this.#converge(signal);
      await systemClock.sleep(LOOK_MS, signal);
    }
  }

  /**
   * Keeps the copies in sync while memory moves or the guest shuts down. After the first round of memory, guest
   * writes go to both hosts.
   */
  async keep(signal: AbortSignal): Promise<void> {
    if (nodesOf(this.#deps).length === 0) return;
    while (isUnderWay(this.#deps)) {
      await this.#look(signal);
      if ((this.#deps.state().sample?.round ?? 0) > 1) await this.#slow(signal);
      else await this.#converge(signal);
      await systemClock.sleep(LOOK_MS, signal);
    }
  }

  /** Guest paused: resolves once its disks are equal at both hosts. */
  async finish(signal: AbortSignal): Promise<void> {
    const nodes = nodesOf(this.#deps);
    if (nodes.length === 0) return;
    this.isFinishing = true;
    const source = await sourceOf(this.#deps, signal);
    // A mover that just took over has no path yet, and may need one. After the end of the copies it finds them whole
    // and needs none.
    if (this.#tunnel === undefined) {
      const disks = await source.sample(nodes, signal);
      if (disks.some(({ state }) => state !== 'whole')) await this.#attach(signal);
    }
    await source.finish(nodes, signal);
    const tunnel = this.#tunnel;
    // The other end closes the path, which is expected from here on.
    if (tunnel !== undefined) this.#account(tunnel);
    this.#closeThere.begin(tunnel);
  }

  closedThere(signal: AbortSignal): Promise<void> {
    return this.#closeThere.ended(signal);
  }

  /** Gives the copies up, and leaves the guest and its disks unchanged. */
  async drop(signal: AbortSignal): Promise<void> {
    if (nodesOf(this.#deps).length === 0) return;
    // First, because a copy that waits for a silent host ignores an order to end.
    this.abort('the copying is undone');
    const session = await sessionIfThere(this.#deps.guest, signal);
    // The copies ended with a cold move's hypervisor.
    const isGone = session === undefined || (await session.status(signal)).run === 'gone';
    if (!isGone) await session.disks?.drop(signal);
    await rm(socketOf(this.#deps), { force: true });
  }

  /** A replaced mover does not know this session, so its grace period is not waited for. */
  mind(moverAddress: string | undefined): void {
    if (this.#tunnel === undefined || moverAddress === this.#mover) return;
    this.#mover = moverAddress;
    this.#tunnel.abort(new Error('another mover works at the destination'));
  }

  abort(why: string): void {
    const tunnel = this.#tunnel;
    if (tunnel === undefined) return;
    this.#account(tunnel);
    tunnel.abort(new Error(why));
  }

  /** Journals a closed tunnel's figures once; `why` if it ended by itself. */
  #account(tunnel: Tunnel, why?: string): void {
    this.#tunnel = undefined;
    const because = why === undefined ? {} : { why: why.slice(0, 1024) };
    this.#deps.dispatch({ type: 'disk-link', figures: diskLinkReport(tunnel), ...because });
  }

  /** Slows a guest that writes faster than its disks are copied, or keeps it here. */
  async #converge(signal: AbortSignal): Promise<void> {
    const { settings } = this.#deps.state().plan;
    const decision = this.#convergence.decide(settings);
    if (decision.what === 'continue') return;
    if (decision.what === 'refuse') throw busy(this.#deps, decision.pace);
    if (!(await this.#slow(signal, decision.pace.copiesPerS))) {
      this.#convergence.canSlow ??= false;
      return;
    }
    const why = 'it writes faster to its disks than they are copied';
    this.#deps.dispatch({ type: 'decided', what: 'slow-writes', why });
  }

  /** Makes guest writes go to both hosts at once, if possible and if the link is fast enough. */
  async #slow(signal: AbortSignal, copiesPerS = 0): Promise<boolean> {
    const bytesPerS = this.#linkRate();
    if (this.#convergence.canSlow !== undefined) return false;
    if (!mayWaitFor(bytesPerS, copiesPerS)) return false;
    const source = await sourceOf(this.#deps, signal);
    // A guest's write must not wait for a silent host.
    this.#tunnel?.mustAnswerWithin(answerTimeoutMs(bytesPerS, copiesPerS));
    const canSlow = await source.setWriteBlocking(nodesOf(this.#deps), signal);
    this.#convergence.canSlow = canSlow;
    return canSlow;
  }

  #linkRate(): number {
    const { maxBandwidth = Infinity } = settingsNow(this.#deps);
    const rate = Math.min(this.#tunnel?.measure.bytesPerS || Infinity, maxBandwidth);
    return Number.isFinite(rate) ? rate : 0;
  }

  /** Checks the copies and resumes stalled ones. GODWIT_DISK_FAILED if that fails. */
  async #look(signal: AbortSignal): Promise<DiskSample[]> {
    const source = await sourceOf(this.#deps, signal);
    const disks = await source.sample(nodesOf(this.#deps), signal);
    this.areWhole = disks.every(isNearlyWhole);
    const broken = disks.find(({ state }) => state === 'broken');
    const isLinked = this.#tunnel !== undefined && this.#tunnel.measure.cutForMs === undefined;
    await this.#switchHold.set(broken !== undefined || !isLinked, signal);
    await this.#deps.timedCap.saw(signal);
    if (this.#tunnel?.measure.cutForMs === undefined) {
      this.#convergence.see(disks, systemClock.monotonicMs());
    } else this.#convergence.forget();
    if (worthReporting(this.#recorded, disks)) {
      this.#recorded = disks;
      const { pace } = this.#convergence;
      const known = pace === undefined ? {} : { pace };
      this.#deps.dispatch({ type: 'copied', disks: disks.map(progressOf), ...known });
    }
    for (const { node, state, failure } of disks) {
      if (state === 'failed' || failure?.kind === 'full' || failure?.kind === 'source') {
        throw failed(this.#deps, node, failure?.reason ?? 'its copy has ended');
      }
    }
    if (broken === undefined && this.#tunnel !== undefined) {
      // Everything is copied, so they have progressed.
      if (disks.every(isInStep)) this.#stuck = undefined;
      return disks;
    }
    this.#mustNotGiveUp(disks, broken);
    try {
      await this.#attach(signal);
    } catch (thrown) {
      signal.throwIfAborted();
      // The other host is away; the next look tries again.
      this.#log.debug({ error: toGodwitError(thrown) }, 'the path of the disks is not open yet');
    }
    if (this.#stuck !== undefined) this.#stuck.until = systemClock.monotonicMs();
    return disks;
  }

  /** Resumes stalled copies as long as they progress, or the links may return. Each cut starts a new count. */
  #mustNotGiveUp(disks: readonly DiskSample[], broken: DiskSample | undefined): void {
    const now = systemClock.monotonicMs();
    const copied = disks.reduce((sum, { copiedBytes }) => sum + copiedBytes, 0);
    const before = this.#stuck;
    const isCut = this.#tunnel?.measure.cutForMs !== undefined;
    const cuts = this.#tunnel?.figures().cuts ?? before?.cuts ?? 0;
    const isNew =
      before === undefined ||
      cuts !== before.cuts ||
      copied > before.copied + GETS_ON_BYTES ||
      now - before.until > AFTER_GRACE_MS;
    const stuck = isNew ? { copied, since: now, until: now, tries: 0, cuts } : before;
    this.#stuck = stuck;
    if (!isCut) stuck.tries += 1;
    const graceMs = this.#deps.state().plan.settings.linkGraceMs ?? DEFAULT_LINK_GRACE_MS;
    const isOver = now - stuck.since > graceMs + AFTER_GRACE_MS;
    if (isOver || stuck.tries > MAX_TRIES) {
      const reason = broken?.failure?.reason ?? `no path to ${this.#deps.request.toHost} is open`;
      throw failed(this.#deps, broken?.node ?? 'of the guest', reason);
    }
  }

  /** Opens the path to the other host, again after a break, and continues the copies. */
  async #attach(signal: AbortSignal): Promise<void> {
    const socket = socketOf(this.#deps);
    if (this.#tunnel === undefined) {
      await this.#open(socket, signal);
      await (await this.#deps.guest.session(signal)).letIn?.(socket);
    }
    const source = await sourceOf(this.#deps, signal);
    await source.start(nodesOf(this.#deps), socket, signal);
  }

  async #open(socket: string, signal: AbortSignal): Promise<void> {
    const { epoch, settings } = this.#deps.state().plan;
    const body = { epoch, linkGraceMs: settings.linkGraceMs ?? DEFAULT_LINK_GRACE_MS };
    const offered = await ask(this.#deps, signal, async (api, route) => {
      const recorded = await api.disks({ body }, { signal, deadlineMs: ANSWER_MS });
      return { ...recorded, address: route(recorded.address) };
    });
    // Left by a mover that was killed.
    await rm(socket, { force: true });
    const tunnel = await this.#openTunnel(this.#deps, offered, socket, signal);
    this.#tunnel = tunnel;
    this.limit(settingsNow(this.#deps).maxBandwidth);
    this.#mover = this.#deps.peer.moverAddress;
    const waits = this.#convergence.canSlow === true;
    tunnel.mustAnswerWithin(waits ? answerTimeoutMs(this.#linkRate()) : MAY_BE_SILENT_MS);
    tunnel.ended.catch((thrown: unknown) => {
      if (this.#tunnel !== tunnel) return;
      const error = toGodwitError(thrown);
      this.#account(tunnel, error.message);
      this.#log.warn({ error }, 'the session of the disks is over');
    });
  }
}

function nodesOf(context: Dependencies): string[] {
  return (context.state().known.copies ?? []).map(({ node }) => node);
}

/** It runs, and will soon be paused. */
function isUnderWay(context: Dependencies): boolean {
  const { doing, stopped } = context.state();
  const step = doing.kind === 'do' ? doing.step : undefined;
  return step === 'memory' || (step === 'switchover' && isCold(context.state()) && !stopped);
}

async function sourceOf(context: Dependencies, signal: AbortSignal): Promise<DiskSource> {
  const session = await context.guest.session(signal);
  if (session.disks !== undefined) return session.disks;
  throw godwitError('GODWIT_INTERNAL', { what: 'disks to copy, and a driver that cannot' });
}

type EndDependencies = Pick<MoverParts, 'request' | 'peer' | 'state' | 'dir'>;

function socketOf({ dir }: Pick<MoverParts, 'dir'>): string {
  return path.join(dir, 'disks.sock');
}

/**
 * Closes the destination's exports of whole copies. The hypervisor needs a while for this, so it runs in parallel
 * with the last state; the guest is paused for both.
 */
export class CloseThere {
  readonly #deps: EndDependencies;
  readonly #log: Log;
  /** False if it did not finish. */
  #ended: Promise<boolean> | undefined;

  constructor(deps: EndDependencies, log: Log) {
    this.#deps = deps;
    this.#log = log;
  }

  /** `tunnel`: path of the copies, which ends with them. */
  begin(tunnel: Tunnel | undefined): void {
    this.#ended = end(this.#deps, AbortSignal.timeout(ANSWER_MS)).then(
      () => true,
      (error: unknown) => {
        this.#log.debug({ error: toGodwitError(error) }, 'the copies are not released yet');
        return false;
      },
    );
    void this.#ended.then(() => tunnel?.abort(new Error('the copies are whole')));
  }

  /** Resolves, before the guest runs there, once only the guest writes to the copies. Repeatable. */
  async ended(signal: AbortSignal): Promise<void> {
    const { copies = [] } = this.#deps.state().known;
    if (copies.length === 0 || (await this.#ended) === true) return;
    await end(this.#deps, signal).catch((error: unknown) => {
      // The guest runs there already, or never will; the answer to commit shows which.
      if (!hasCode(error, 'GODWIT_NOT_ARMED')) throw error;
    });
  }
}

async function end(context: EndDependencies, signal: AbortSignal): Promise<void> {
  const { epoch, settings } = context.state().plan;
  const body = settings.verifyDisks === true ? { epoch, watch: true } : { epoch };
  await ask(context, signal, (api) => api.disksEnd({ body }, { signal, deadlineMs: ANSWER_MS }));
  rmSync(socketOf(context), { force: true });
}

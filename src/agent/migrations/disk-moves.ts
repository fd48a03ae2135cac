import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import type { GuestDisk } from '../../port/disks.ts';
import type { Driver } from '../../drivers/registry.ts';
import type { GuestHandle } from '../../port/inventory.ts';
import { godwitError, toGodwitError, type GodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import {
  beginMove,
  replayMove,
  type DiskMoveEvent,
  type DiskMovePlan,
} from '../../migration/disk-move.ts';
import { type OpenedJournal, open } from '../../host/journal/journal.ts';
import { syncDirectory, openJournalFile } from '../../system/journal-file.ts';
import { hostBoot } from '../../system/processes/process.ts';
import {
  diskMoveId,
  type DiskMoveProgress,
  type DiskMoveRequest,
  type DiskMoveResolution,
  type DiskMoveResolveRequest,
} from '../../protocol/public/disk-move.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { migrationOf, mustBeReadable, type Guests } from '../guests/guests.ts';
import { directDriverOf, lifeOfGuest } from '../processes/hypervisor-life.ts';
import { movable } from './outgoing.ts';
import type { MigrationStore } from './store.ts';
import { Mutex } from '../../mutex.ts';
import { DiskMove, type HeldRelocator } from '../../disks/move/move.ts';
import { mustBeItsOwn, placeFor } from '../../disks/move/place.ts';
import {
  hasPlan,
  HeldDiskMoves,
  MOVE_JOURNAL,
  moveJournalFile,
  writePlan,
} from './held-disk-moves.ts';

const KEPT = 200;
const MAX_AT_ONCE = 16;
const PLAN_MS = 15_000;

export interface DiskMovesDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly drivers: readonly Driver[];
  readonly guests: Guests;
  readonly store: MigrationStore;
}

/**
 * Moves of disks on this host, run by the agent. The hypervisor copies, and continues while no agent runs. The next
 * agent resumes from the journals below `stateDir/disk-moves` and the hypervisor's state.
 */
export class DiskMoves {
  readonly #deps: DiskMovesDependencies;
  readonly #dir: string;
  readonly #moves = new Map<string, DiskMove>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #held: HeldDiskMoves;
  readonly #ending = new AbortController();
  readonly #mutex = new Mutex();
  #beforeSwitch: ((guest: string, signal: AbortSignal) => Promise<void>) | undefined;

  constructor(deps: DiskMovesDependencies) {
    this.#deps = deps;
    const { config, guests, log } = deps;
    this.#dir = path.join(config.stateDir, 'disk-moves');
    this.#held = new HeldDiskMoves({
      stateDir: config.stateDir,
      host: config.name,
      log,
      guests,
      life: (handle) => lifeOfGuest(deps.drivers, handle),
      hold: (handle, signal) => this.#hold(handle, signal),
    });
    if (!existsSync(this.#dir)) return;
    for (const name of readdirSync(this.#dir).toSorted()) {
      if (diskMoveId.safeParse(name).success) this.#find(name);
    }
  }

  tellBeforeSwitch(tell: (guest: string, signal: AbortSignal) => Promise<void>): void {
    this.#beforeSwitch = tell;
  }

  start(): void {
    for (const move of this.#moves.values()) this.#run(move);
  }

  /** Leaves the copies to their hypervisors, after any switch that has begun is finished. */
  async close(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#running.values());
  }

  /**
   * The running move of any of the guest's disks. `held` if its journal cannot be read, or an unreadable journal may be
   * of this guest.
   */
  movingOf(guest: string): MovingDisk | undefined {
    for (const { state } of this.#moves.values()) {
      const { request, id } = state.plan;
      if (state.ended === undefined && request.guest === guest) return { id, device: request.disk };
    }
    const held = this.#held.find(guest);
    return held && { id: held.id, device: held.plan?.request.disk ?? 'unknown', held: held.error };
  }

  /** Resolves to the id once the move is certain to be finished or undone. */
  begin(request: DiskMoveRequest): Promise<string> {
    return this.#mutex.run(async () => {
      if (this.#running.size >= MAX_AT_ONCE) {
        const what = `${this.#deps.config.name}, in moves of disks at once,`;
        throw godwitError('GODWIT_OVERLOADED', { what, limit: MAX_AT_ONCE });
      }
      this.#mustBeIdle(request);
      const plan = await this.#plan(request);
      this.#mustBeIdle(request);
      this.#forgetOldest();
      const move = await this.#add(plan);
      this.#run(move);
      return plan.id;
    });
  }

  list(): DiskMoveProgress[] {
    return [...this.#held.list(), ...[...this.#moves.values()].map((move) => move.progress())];
  }

  async *events(id: string, signal: AbortSignal): AsyncGenerator<DiskMoveProgress> {
    const move = this.#need(id);
    for (;;) {
      const changed = Promise.withResolvers<void>();
      const stop = move.onChange(changed.resolve);
      signal.addEventListener('abort', () => changed.resolve(), { once: true });
      try {
        yield move.progress();
        if (move.state.ended !== undefined || signal.aborted) return;
        await changed.promise;
      } finally {
        stop();
      }
    }
  }

  async cancel(id: string): Promise<{ accepted: boolean; what: string }> {
    if (this.#held.get(id) !== undefined) return this.#held.cancel(id);
    const move = this.#need(id);
    const { plan } = move.state;
    if (await move.cancel()) {
      return { accepted: true, what: `${plan.request.guest} goes on with ${plan.from}` };
    }
    const { state } = move.progress();
    const where = state === 'done' ? `its disk is ${plan.to}` : `it is ${state}`;
    return { accepted: false, what: `too late: ${where}` };
  }

  async resolution(id: string): Promise<DiskMoveResolution> {
    this.#mustBeHeld(id);
    return this.#held.show(id);
  }

  async resolve(id: string, asked: DiskMoveResolveRequest, by: string): Promise<{ what: string }> {
    this.#mustBeHeld(id);
    return this.#held.resolve(id, asked, by);
  }

  #mustBeHeld(id: string): void {
    const move = this.#moves.get(id);
    if (move === undefined) return;
    const { guest } = move.state.plan.request;
    const reason = `its journal can be read, and it is ${move.progress().state}`;
    const hint = `Follow it with \`godwit watch ${id}\`.`;
    const facts = { id, guest, runAt: 'source|destination', reason };
    throw godwitError('GODWIT_RESOLVE_REFUSED', facts, { hint });
  }

  #need(id: string): DiskMove {
    const found = this.#moves.get(id);
    if (found !== undefined) return found;
    const held = this.#held.get(id);
    if (held !== undefined) throw held.error;
    throw godwitError('GODWIT_DISK_MOVE_UNKNOWN', { id, host: this.#deps.config.name });
  }

  #mustBeIdle({ guest, disk }: DiskMoveRequest): void {
    const { store } = this.#deps;
    mustBeReadable(store, guest);
    const moving = migrationOf(store, guest);
    if (moving !== undefined) {
      const { id, to, phase } = store.progress(moving.id);
      throw godwitError('GODWIT_GUEST_BUSY', { guest, id, to, phase });
    }
    for (const { state } of this.#moves.values()) {
      const { request, id } = state.plan;
      if (state.ended !== undefined || request.guest !== guest || request.disk !== disk) continue;
      throw godwitError('GODWIT_DISK_MOVING', { guest, device: disk, id });
    }
    const held = this.#held.find(guest, disk);
    if (held !== undefined) throw held.error;
  }

  async #plan(request: DiskMoveRequest): Promise<DiskMovePlan> {
    const { config, clock, guests } = this.#deps;
    const { guest, to } = request;
    const { handle } = movable(await guests.need(guest));
    const disk = await this.#diskOf(handle, request);
    const { pid } = directDriverOf(this.#deps.drivers, handle)?.describe(handle) ?? {};
    await mustBeItsOwn(guest, disk, pid, AbortSignal.timeout(PLAN_MS));
    const place = await placeFor(config, { guest, disk, to });
    const nowMs = clock.wallMs();
    const random = randomInt(36 ** 5)
      .toString(36)
      .padStart(5, '0');
    return {
      id: `d-${nowMs.toString(36)}${random}`,
      request,
      handle,
      bootId: hostBoot(),
      createdAt: new Date(nowMs).toISOString(),
      from: disk.file,
      // Another file may be at its path; that file is never touched.
      identity: disk.identity ?? '',
      to: place.file,
      directories: [...place.directories],
      work: disk.work,
    };
  }

  async #diskOf(handle: GuestHandle, { guest, disk }: DiskMoveRequest): Promise<GuestDisk> {
    const signal = AbortSignal.timeout(PLAN_MS);
    const held = await this.#hold(handle, signal);
    const disks = await held.relocator.disks(signal).finally(() => held.close());
    const found = disks.find(({ name }) => name === disk);
    if (found === undefined) {
      const names = disks.map(({ name }) => name);
      const list = names.length === 0 ? 'It has none.' : `Its disks are ${names.join(', ')}.`;
      const hint = `${didYouMean(disk, names) ?? ''} ${list}`.trim();
      throw godwitError('GODWIT_DISK_UNKNOWN', { guest, disk }, { hint });
    }
    if (found.fixed === undefined) return found;
    const facts = { guest, device: disk, file: found.file, reason: found.fixed };
    throw godwitError('GODWIT_DISK_FIXED', facts);
  }

  async #add(plan: DiskMovePlan): Promise<DiskMove> {
    const dir = path.join(this.#dir, plan.id);
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    syncDirectory(this.#dir);
    const { journal } = this.#open(plan.id);
    // The move now blocks migrations of its guest, even before its first record is written.
    const move = this.#made(plan.id, new DiskMove(beginMove(plan), { ...this.#common(), journal }));
    try {
      await journal.append({ type: 'begun', plan }, 'sync');
      writePlan(dir, plan);
    } catch (thrown) {
      this.#moves.delete(plan.id);
      await journal.close();
      rmSync(dir, { recursive: true, force: true });
      throw thrown;
    }
    return move;
  }

  /** Loads a move from its journal. Without a record nothing had begun, and it is removed. */
  #find(id: string): void {
    const dir = path.join(this.#dir, id);
    let opened: OpenedJournal<DiskMoveEvent>;
    try {
      opened = this.#open(id);
    } catch (thrown) {
      this.#held.add(dir, toGodwitError(thrown));
      return;
    }
    const { journal, events } = opened;
    const state = replayMove(events);
    if (state === undefined) {
      void journal.close();
      if (hasPlan(dir)) this.#held.add(dir, withoutRecords(dir));
      else rmSync(dir, { recursive: true, force: true });
      return;
    }
    const move = this.#made(id, new DiskMove(state, { ...this.#common(), journal }));
    if (state.ended !== undefined) void move.close();
  }

  #made(id: string, move: DiskMove): DiskMove {
    this.#moves.set(id, move);
    return move;
  }

  #open(id: string): OpenedJournal<DiskMoveEvent> {
    return openMoveJournal(path.join(this.#dir, id), this.#deps.clock);
  }

  #common() {
    const { config, clock, log } = this.#deps;
    return {
      beforeSwitch: async (guest: string, signal: AbortSignal) =>
        this.#beforeSwitch?.(guest, signal),
      host: config.name,
      clock,
      log,
      bootId: hostBoot,
      life: (handle: GuestHandle) => lifeOfGuest(this.#deps.drivers, handle),
      hold: (handle: GuestHandle, signal: AbortSignal) => this.#hold(handle, signal),
    };
  }

  async #hold(handle: GuestHandle, signal: AbortSignal): Promise<HeldRelocator> {
    const driver = directDriverOf(this.#deps.drivers, handle);
    const session = await driver?.openSource(handle, signal);
    const relocator = session?.relocator;
    if (session !== undefined && relocator !== undefined) {
      return { relocator, close: () => session.close() };
    }
    await session?.close();
    const what = `to move a disk of ${handle.name}`;
    const reason = `guests of ${handle.driver} keep theirs where they are`;
    throw godwitError('GODWIT_CAPABILITY', { what, reason });
  }

  #run(move: DiskMove): void {
    const { plan, ended } = move.state;
    if (ended !== undefined) return;
    const { log } = this.#deps;
    const running = move
      .run(this.#ending.signal)
      .catch((thrown: unknown) => {
        log.error({ id: plan.id, error: toGodwitError(thrown) }, 'disk move abandoned');
      })
      .finally(() => {
        this.#running.delete(plan.id);
        return move.close();
      });
    this.#running.set(plan.id, running);
  }

  #forgetOldest(): void {
    const ended = [...this.#moves].filter(([, { state }]) => state.ended !== undefined);
    for (const [id] of ended.slice(0, Math.max(0, ended.length - KEPT))) {
      this.#moves.delete(id);
      rmSync(path.join(this.#dir, id), { recursive: true, force: true });
    }
  }
}

export interface MovingDisk {
  readonly id: string;
  readonly device: string;
  readonly held?: GodwitError;
}

/** GODWIT_JOURNAL_DAMAGED if the journal is damaged; the file is left as it was. */
function openMoveJournal(dir: string, clock: Clock): OpenedJournal<DiskMoveEvent> {
  const file = moveJournalFile(dir);
  return open<DiskMoveEvent>(file, openJournalFile(file), MOVE_JOURNAL, clock);
}

function withoutRecords(dir: string): GodwitError {
  const saw = 'it has no record, and the plan was written after its first one';
  return godwitError('GODWIT_JOURNAL_DAMAGED', { file: moveJournalFile(dir), line: 1, saw });
}

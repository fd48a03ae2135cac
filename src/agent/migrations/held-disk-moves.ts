import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { godwitError, hasCode, toGodwitError, type GodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { diskMovePlan, diskMoveRecord, type DiskMovePlan } from '../../migration/disk-move.ts';
import { judgeHeldMove, type HeldMoveSight } from '../../migration/held-disk-move.ts';
import { Mutex } from '../../mutex.ts';
import type { GuestHandle, Life } from '../../port/inventory.ts';
import { defined } from '../../protocol/defined.ts';
import type {
  DiskMoveProgress,
  DiskMoveResolution,
  DiskMoveResolveRequest,
} from '../../protocol/public/disk-move.ts';
import { LineReader } from '../../host/journal/journal-lines.ts';
import { readSummed, writeSummed } from '../../host/journal/request-file.ts';
import { readJournalBytes, syncDirectory } from '../../system/journal-file.ts';
import type { HeldRelocator } from '../../disks/move/move.ts';
import { keepNew } from '../../disks/move/files.ts';
import type { Guests } from '../guests/guests.ts';

export const MOVE_JOURNAL = { schema: diskMoveRecord, first: 'begun' } as const;
const SET_ASIDE = 'disk-moves-set-aside';
const LOOK_MS = 15_000;
const NAMELESS = 'unknown';

export interface HeldMovesDependencies {
  readonly stateDir: string;
  readonly host: string;
  readonly log: Log;
  readonly guests: Pick<Guests, 'listed'>;
  readonly life: (handle: GuestHandle) => Promise<Life>;
  /** GODWIT_CAPABILITY if Godwit cannot move disks of this kind of guest. */
  readonly hold: (handle: GuestHandle, signal: AbortSignal) => Promise<HeldRelocator>;
}

interface HeldMove {
  readonly id: string;
  readonly dir: string;
  readonly error: GodwitError;
  /** Undefined if no file of the move can be read: it may use any disk of this host. */
  readonly plan: DiskMovePlan | undefined;
}

/**
 * Held disk moves. They do not continue, and their guests cannot be moved. An operator cancels the copy or sets the
 * record aside.
 */
export class HeldDiskMoves {
  readonly #deps: HeldMovesDependencies;
  readonly #moves = new Map<string, HeldMove>();
  readonly #turn = new Mutex();

  constructor(deps: HeldMovesDependencies) {
    this.#deps = deps;
  }

  add(dir: string, error: GodwitError): void {
    const id = path.basename(dir);
    const plan = planIn(dir);
    this.#moves.set(id, { id, dir, plan, error });
    const guest = plan?.request.guest ?? 'any guest of this host';
    this.#deps.log.error({ id, guest, error }, 'disk move held');
  }

  get(id: string): HeldMove | undefined {
    return this.#moves.get(id);
  }

  find(guest: string, device?: string): HeldMove | undefined {
    return [...this.#moves.values()].find(({ plan }) => {
      if (plan === undefined) return true;
      const { request } = plan;
      return request.guest === guest && (device === undefined || request.disk === device);
    });
  }

  list(): DiskMoveProgress[] {
    return [...this.#moves.values()].map(({ id, dir, plan, error }) => {
      const { guest, disk } = plan?.request ?? { guest: NAMELESS, disk: NAMELESS };
      const { from, to, createdAt } = plan ?? {
        from: NAMELESS,
        to: NAMELESS,
        createdAt: new Date(statSync(dir, { throwIfNoEntry: false })?.mtimeMs ?? 0).toISOString(),
      };
      const figures = { copiedBytes: 0, totalBytes: 0, rate: 0, elapsedMs: 0 };
      const names = { id, guest, host: this.#deps.host, disk, from, to, startedAt: createdAt };
      const note = `held: ${error.message}`.slice(0, 4096);
      return { ...names, ...figures, state: 'copying', held: true, note, error: error.toJSON() };
    });
  }

  /** Cancels the copy if the guest is on its old image. The record stays. */
  cancel(id: string): Promise<{ accepted: boolean; what: string }> {
    return this.#turn.run(async () => {
      const { plan, error } = this.#need(id);
      if (plan === undefined) throw error;
      if ((await this.#deps.life(plan.handle)).state === 'gone') {
        return { accepted: false, what: 'its hypervisor has ended: there is no copying' };
      }
      const signal = AbortSignal.timeout(LOOK_MS);
      const held = await this.#deps.hold(plan.handle, signal);
      try {
        const { on } = await held.relocator.look(plan.work, signal);
        if (on !== 'old') return { accepted: false, what: `too late: the guest left ${plan.from}` };
        await held.relocator.drop(plan.work, signal);
      } finally {
        await held.close();
      }
      const next = `its record is still held: \`godwit resolve ${id}\``;
      return { accepted: true, what: `${plan.request.guest} goes on with ${plan.from}; ${next}` };
    });
  }

  async show(id: string): Promise<DiskMoveResolution> {
    const { plan, error } = this.#need(id);
    const sight = plan === undefined ? await this.#lookAtAll() : await this.#look(plan);
    const { guest, disk } = plan?.request ?? {};
    const { from, to } = plan ?? {};
    return {
      id,
      host: this.#deps.host,
      ...defined({ guest, disk, from, to }),
      error: error.toJSON(),
      confirm: guest ?? id,
      answers: judgeHeldMove(sight),
    };
  }

  /** Sets the record aside. The hypervisor is read in the same turn, and no image is removed. */
  resolve(id: string, asked: DiskMoveResolveRequest, by: string): Promise<{ what: string }> {
    return this.#turn.run(async () => {
      const { runAt, confirm, iKnow } = asked;
      const known = await this.show(id);
      if (confirm !== known.confirm) {
        const what = `"${confirm.slice(0, 80)}" is not the name that confirms the answer to ${id}`;
        throw godwitError('GODWIT_USAGE', { what }, { hint: `The name is ${known.confirm}.` });
      }
      const guest = known.guest ?? 'an unknown guest';
      const answer = known.answers.find((each) => each.runAt === runAt);
      if (answer === undefined || answer.verdict === 'wrong' || answer.verdict === 'waits') {
        const reason = answer?.why ?? 'nothing is known';
        const hint =
          answer?.verdict === 'waits'
            ? `\`godwit cancel ${id}\` calls the copying off while the guest is on the old image. Then look again.`
            : `\`godwit resolve ${id}\` shows what the hypervisor reports.`;
        throw godwitError('GODWIT_RESOLVE_REFUSED', { id, guest, runAt, reason }, { hint });
      }
      if (answer.verdict === 'risky' && !iKnow) {
        const hint = 'Look which image has the newer data. Then repeat with --yes-i-know.';
        throw godwitError('GODWIT_RESOLVE_UNPROVED', { guest, reason: answer.why }, { hint });
      }
      this.#deps.log.warn({ id, by, runAt, guest }, 'record of a disk move set aside');
      return { what: await this.#setAside(id, runAt, answer.verdict === 'safe') };
    });
  }

  async #setAside(
    id: string,
    runAt: DiskMoveResolveRequest['runAt'],
    isSeen: boolean,
  ): Promise<string> {
    const { dir, plan } = this.#need(id);
    if (plan !== undefined && runAt === 'destination' && isSeen) await keepNew(plan);
    const place = path.join(this.#deps.stateDir, SET_ASIDE);
    mkdirSync(place, { recursive: true, mode: 0o700 });
    const target = path.join(place, id);
    renameSync(dir, target);
    syncDirectory(place);
    syncDirectory(path.dirname(dir));
    this.#moves.delete(id);
    const aside = `the record was set aside in ${target}`;
    if (plan === undefined) return aside;
    const { from, to, request } = plan;
    const [own, other] = runAt === 'source' ? [from, to] : [to, from];
    const left = `${other} is left as it is`;
    return `${request.disk} of ${request.guest} is ${own}; ${left}; ${aside}`;
  }

  #need(id: string): HeldMove {
    const found = this.#moves.get(id);
    if (found !== undefined) return found;
    throw godwitError('GODWIT_DISK_MOVE_UNKNOWN', { id, host: this.#deps.host });
  }

  async #look({ handle, work }: DiskMovePlan): Promise<HeldMoveSight> {
    try {
      if ((await this.#deps.life(handle)).state === 'gone') return { kind: 'gone' };
      const signal = AbortSignal.timeout(LOOK_MS);
      const held = await this.#deps.hold(handle, signal);
      const seen = await held.relocator.look(work, signal).finally(() => held.close());
      return { kind: 'seen', on: seen.on, job: seen.job };
    } catch (thrown) {
      return { kind: 'silent', why: toGodwitError(thrown).message.slice(0, 1024) };
    }
  }

  async #lookAtAll(): Promise<HeldMoveSight> {
    const { found, silent: drivers } = await this.#deps.guests.listed(true);
    const busy: string[] = [];
    const silent = drivers.map(({ driver }) => `all guests of ${driver}`);
    for (const { info, handle } of found) {
      if (handle === undefined) continue;
      const signal = AbortSignal.timeout(LOOK_MS);
      try {
        const held = await this.#deps.hold(handle, signal);
        const jobs = await held.relocator.countJobs(signal).finally(() => held.close());
        if (jobs > 0) busy.push(info.name);
      } catch (thrown) {
        if (!hasCode(thrown, 'GODWIT_CAPABILITY')) silent.push(info.name);
      }
    }
    return { kind: 'nameless', busy, silent };
  }
}

/** Call after the journal's first record: a plan next to a journal without records counts as damage. */
export function writePlan(dir: string, plan: DiskMovePlan): void {
  writeSummed(planFile(dir), plan);
}

export function hasPlan(dir: string): boolean {
  return existsSync(planFile(dir));
}

function planIn(dir: string): DiskMovePlan | undefined {
  return unlessUnreadable(() => readSummed(planFile(dir), diskMovePlan)) ?? firstPlan(dir);
}

function firstPlan(dir: string): DiskMovePlan | undefined {
  return unlessUnreadable(() => {
    const [first] = new LineReader(MOVE_JOURNAL).take(readJournalBytes(moveJournalFile(dir)));
    return first?.event.type === 'begun' ? first.event.plan : undefined;
  });
}

function unlessUnreadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

export function moveJournalFile(dir: string): string {
  return path.join(dir, 'journal.jsonl');
}

function planFile(dir: string): string {
  return path.join(dir, 'plan.json');
}

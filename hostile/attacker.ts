import { PROTOCOL_HEADER, PROTOCOL_VERSIONS } from '../src/protocol/version.ts';
import {
  admission,
  admitted,
  prepared,
  type Admission,
  type PrepareAnswer,
} from '../src/protocol/peer/migration.ts';
import { readCredentials, type Credentials } from '../src/rpc/tls.ts';
import type { Answer, Ask, Bytes, Case } from './cases/case.ts';
import { caseOf, kindOf, TARGETS, type Kind } from './cases/plan.ts';
import { EPOCH, type Facts } from './facts.ts';
import type { Own } from './generate/known-names.ts';
import { judgeAnswer } from './judge.ts';
import { Speaker } from './raw-requests.ts';
import { writeBytes } from './write.ts';

/** What came of one case. Times are of the wall clock, ms, so that what was seen elsewhere can be laid beside them. */
export interface CaseResult {
  readonly case: Case;
  readonly fromMs: number;
  readonly toMs: number;
  /** Codes of refusals, `200`, `none` for a given-up answer: one for each request. */
  readonly answers: readonly string[];
  /** What was said with each, cut. */
  readonly words: readonly string[];
  readonly problems: readonly string[];
}

/** A migration that this host has begun: what it may do in its own right. */
interface StartedMigration extends Own {
  readonly admission: Admission;
  readonly moverAddress: string;
}

/** `fresh`: nothing has been prepared for it yet. */
type Slot = 'any' | 'fresh';

const TIMEOUT_MS = 4000;
/** For what only tidies up. */
const TIDY_MS = 70_000;
const MAX_WORDS = 400;
const VERSION = String(PROTOCOL_VERSIONS[0]);
/** Cases for which one migration stands, unless it has ended before. */
const STANDING_CASES = 25;

/** Speaks as a host of the fleet and does the cases, one after the other. */
export class Attacker {
  readonly #facts: Facts;
  readonly #credentials: Credentials;
  readonly #seed: number;
  readonly #speaker: Speaker;
  readonly #patient: Speaker;
  /** All that this host was admitted for and has not released. */
  readonly #begun = new Map<string, StartedMigration>();
  /** Those that go on from case to case. */
  readonly #stands = new Map<Slot, StartedMigration>();
  #slot: Slot = 'any';
  /** Of the mover that the case speaks to. */
  #address = '';
  /** The migration that the case speaks about. */
  #own: StartedMigration | undefined;
  #waits: Partial<PrepareAnswer> & { readonly id: string } = { id: '' };
  #used = 0;
  #count = 0;

  constructor(facts: Facts, seed: number) {
    this.#facts = facts;
    this.#seed = seed;
    const credentials = readCredentials(facts.pkiDir);
    this.#credentials = credentials;
    this.#speaker = new Speaker({ credentials, timeoutMs: TIMEOUT_MS });
    this.#patient = new Speaker({ credentials, timeoutMs: TIDY_MS });
  }

  async try(number: number): Promise<CaseResult> {
    const fromMs = Date.now();
    const kind = kindOf(this.#seed, number);
    const target = TARGETS[kind];
    this.#slot = 'any';
    const own = target === 'mover' ? await this.#stand(slotOf(kind)) : this.#another();
    const made = caseOf(this.#seed, number, this.#facts, own);
    return this.play(made, fromMs);
  }

  async play(made: Case, fromMs = Date.now()): Promise<CaseResult> {
    const answers: string[] = [];
    const words: string[] = [];
    const problems: string[] = [];
    this.#waits = { id: '' };
    this.#own = this.#stands.get(this.#slot);
    this.#address = this.#own?.moverAddress ?? this.#facts.target.address;
    for (const ask of made.asks) {
      const address = this.#addressOf(ask);
      // A guest that is described is given the time to be started.
      const speaker = this.#slot === 'fresh' ? this.#patient : this.#speaker;
      const answer = await speaker.ask(address, ask);
      answers.push(answer === undefined ? 'none' : codeOf(answer));
      words.push((answer?.body ?? '').slice(0, MAX_WORDS));
      if (answer === undefined) continue;
      const problem = judgeAnswer(ask, answer);
      if (problem !== undefined && !this.#isOver(ask, answer))
        problems.push(`${ask.target} ${ask.method} ${ask.path}: ${problem}`);
      this.#note(ask, answer);
      this.#noteWaiting(ask, answer);
      if (isPast(this.#slot, ask, answer)) this.#stands.delete(this.#slot);
    }
    for (const said of made.bytes ?? []) {
      const answer = await this.#write(said);
      answers.push(answer === '' ? 'silence' : 'bytes');
      if (answer.includes('GODWIT_INTERNAL')) problems.push(`${said.listener}: failed by a defect`);
    }
    await this.#releaseEnded();
    return { case: made, fromMs, toMs: Date.now(), answers, words, problems };
  }

  async #write(said: Bytes): Promise<string> {
    const { memoryAddress, wire, id } = this.#waits;
    const credentials = this.#credentials;
    if (said.listener !== 'memory') {
      const address = said.listener === 'agent' ? this.#facts.target.address : this.#address;
      return writeBytes(said, { credentials, address });
    }
    if (memoryAddress === undefined) return '';
    const session = wire === undefined ? {} : { session: wire.session };
    return writeBytes(said, { credentials, address: memoryAddress, migration: id, ...session });
  }

  /** Its mover ends once nothing is left for it to do: a connection that ends then is no defect. */
  #isOver(ask: Ask, answer: Answer): boolean {
    if (answer.status !== 0 || ask.target !== 'mover') return false;
    this.#stands.delete(this.#slot);
    return true;
  }

  #addressOf({ target }: Ask): string {
    if (target === 'agent') return this.#facts.target.address;
    if (target === 'foreign') return this.#facts.foreign.moverAddress;
    return this.#address;
  }

  /** A name that nothing has yet. */
  #another(): Own {
    this.#count += 1;
    const count = this.#count.toString(36).padStart(6, '0');
    return { id: `m-hx${count}`, guest: `hx${count}` };
  }

  /** A migration of this host’s own that has been admitted as it should be. */
  async #stand(slot: Slot): Promise<StartedMigration> {
    this.#used += 1;
    if (this.#used > STANDING_CASES) {
      this.#used = 0;
      this.#stands.clear();
      await this.#releaseEnded();
    }
    this.#slot = slot;
    const standing = this.#stands.get(slot);
    if (standing !== undefined) return standing;
    const own = this.#another();
    const { description } = this.#facts;
    const given: Admission = {
      id: own.id,
      guest: own.guest,
      from: this.#facts.self,
      memoryBytes: description.memoryBytes,
      vcpus: description.vcpus,
      macs: [],
      epoch: EPOCH,
      timeoutMs: 60_000,
    };
    const ask = this.#plain('agent', 'admit', '/v1/incoming', given);
    const answer = await this.#patient.ask(this.#facts.target.address, ask);
    if (answer !== undefined) this.#note(ask, answer);
    const begun = this.#begun.get(own.id);
    if (begun === undefined) throw new Error(`not admitted: ${answer?.body ?? 'no answer'}`);
    this.#stands.set(slot, begun);
    return begun;
  }

  #plain(target: Ask['target'], route: string, path: string, body: unknown): Ask {
    return {
      target,
      route,
      method: 'POST',
      path,
      headers: { [PROTOCOL_HEADER]: VERSION },
      body: JSON.stringify(body),
      isForeign: false,
    };
  }

  /** An admission that was given stands until it is released, whatever it was asked for with. */
  #note(ask: Ask, answer: Answer): void {
    if (ask.route !== 'admit' || answer.status !== 200) return;
    const given = admission.safeParse(JSON.parse(ask.body ?? 'null'));
    const where = admitted.safeParse(JSON.parse(answer.body));
    if (!given.success || !where.success) return;
    const { id, guest } = given.data;
    const { moverAddress } = where.data;
    this.#begun.set(id, { id, guest, admission: given.data, moverAddress });
  }

  /** Where the guest’s memory is waited for. */
  #noteWaiting(ask: Ask, { status, body }: Answer): void {
    if (ask.route !== 'prepare' || status !== 200) return;
    const reported = prepared.safeParse(JSON.parse(body));
    const id = this.#own?.id ?? '';
    this.#waits = reported.success ? { ...reported.data, id } : { id };
  }

  /** Gives back what this host was admitted for: nothing of it may stay behind on the other. */
  async #releaseEnded(): Promise<void> {
    const kept = new Set(this.#stands.values());
    for (const begun of this.#begun.values()) {
      if (kept.has(begun)) continue;
      const { epoch } = begun.admission;
      for (const body of [{ epoch }, { epoch, lost: true }]) {
        const ask = this.#plain('mover', 'release', '/v1/release', body);
        const answer = await this.#patient.ask(begun.moverAddress, ask);
        if (answer?.status === 200 || answer?.status === 0) break;
      }
      this.#begun.delete(begun.id);
    }
  }

  async close(): Promise<void> {
    this.#stands.clear();
    await this.#releaseEnded();
    this.#speaker.close();
    this.#patient.close();
  }
}

function slotOf(kind: Kind): Slot {
  return kind === 'grammar' || kind === 'memory' ? 'fresh' : 'any';
}

const ENDS: ReadonlySet<string> = new Set(['refuse', 'release', 'finish']);

/** From then on no other guest could be described to that mover; or nothing at all is to be had from it. */
function isPast(slot: Slot, { target, route, method }: Ask, { status }: Answer): boolean {
  if (target !== 'mover' || method !== 'POST' || status !== 200) return false;
  return slot === 'fresh' ? route !== 'assess' : ENDS.has(route);
}

function codeOf({ status, body }: Answer): string {
  const code = /"code":"(\w+)"/.exec(body)?.[1];
  return status >= 400 && code !== undefined ? code : String(status);
}

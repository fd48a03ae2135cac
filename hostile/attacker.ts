import { PROTOCOL_HEADER, PROTOCOL_VERSIONS } from '../src/protocol/version.ts';
import { admission, admitted } from '../src/protocol/peer/migration.ts';
import type { Admission } from '../src/protocol/peer/migration.ts';
import { readCredentials } from '../src/rpc/tls.ts';
import type { Answer, Ask, Case } from './cases/case.ts';
import { caseOf, kindOf, TARGETS } from './cases/plan.ts';
import { EPOCH } from './facts.ts';
import type { Facts } from './facts.ts';
import type { Own } from './generate/words.ts';
import { judgeAnswer } from './judge.ts';
import { Speaker } from './speak.ts';

/** What came of one case. Times are of the wall clock, ms, so that what was seen elsewhere can be laid beside them. */
export interface Tried {
  readonly case: Case;
  readonly fromMs: number;
  readonly toMs: number;
  /** Codes of refusals, `200`, `none` for a given-up answer: one for each request. */
  readonly answers: readonly string[];
  readonly problems: readonly string[];
}

/** A migration that this host has begun: what it may do in its own right. */
interface Begun extends Own {
  readonly admission: Admission;
  readonly moverAddress: string;
}

const PATIENCE_MS = 4000;
/** For what only tidies up. */
const TIDY_MS = 70_000;
const VERSION = String(PROTOCOL_VERSIONS[0]);
/** Cases for which one migration stands, unless it has ended before. */
const STANDING_CASES = 25;

/** Speaks as a host of the fleet and does the cases, one after the other. */
export class Attacker {
  readonly #facts: Facts;
  readonly #seed: number;
  readonly #speaker: Speaker;
  readonly #patient: Speaker;
  /** All that this host was admitted for and has not released. */
  readonly #begun = new Map<string, Begun>();
  #standing: Begun | undefined;
  /** Of the mover that the case speaks to. */
  #address = '';
  #used = 0;
  #count = 0;

  constructor(facts: Facts, seed: number) {
    this.#facts = facts;
    this.#seed = seed;
    const credentials = readCredentials(facts.pkiDir);
    this.#speaker = new Speaker({ credentials, patienceMs: PATIENCE_MS });
    this.#patient = new Speaker({ credentials, patienceMs: TIDY_MS });
  }

  async try(number: number): Promise<Tried> {
    const fromMs = Date.now();
    const target = TARGETS[kindOf(this.#seed, number)];
    const own = target === 'mover' ? await this.#stand() : this.#another();
    const made = caseOf(this.#seed, number, this.#facts, own);
    return this.play(made, fromMs);
  }

  async play(made: Case, fromMs = Date.now()): Promise<Tried> {
    const answers: string[] = [];
    const problems: string[] = [];
    this.#address = this.#standing?.moverAddress ?? this.#facts.target.address;
    for (const ask of made.asks) {
      const address = this.#addressOf(ask);
      const answer = await this.#speaker.ask(address, ask);
      answers.push(answer === undefined ? 'none' : codeOf(answer));
      if (answer === undefined) continue;
      const problem = judgeAnswer(ask, answer);
      if (problem !== undefined && !this.#isOver(ask, answer))
        problems.push(`${ask.target} ${ask.method} ${ask.path}: ${problem}`);
      this.#note(ask, answer);
      // What was prepared stands for nothing else: another guest could not be described to it.
      if (ask.target === 'mover' && ask.route === 'prepare' && answer.status === 200)
        this.#standing = undefined;
    }
    await this.#releaseAllBut(this.#standing);
    return { case: made, fromMs, toMs: Date.now(), answers, problems };
  }

  /** Its mover ends once nothing is left for it to do: a connection that ends then is no defect. */
  #isOver(ask: Ask, answer: Answer): boolean {
    if (answer.status !== 0 || ask.target !== 'mover') return false;
    this.#standing = undefined;
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
  async #stand(): Promise<Begun> {
    this.#used += 1;
    if (this.#used > STANDING_CASES) {
      this.#standing = undefined;
      await this.#releaseAllBut(undefined);
    }
    if (this.#standing !== undefined) return this.#standing;
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
    this.#standing = begun;
    this.#used = 1;
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

  /** Gives back what this host was admitted for: nothing of it may stay behind on the other. */
  async #releaseAllBut(kept: Begun | undefined): Promise<void> {
    for (const begun of this.#begun.values()) {
      if (begun === kept) continue;
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
    this.#standing = undefined;
    await this.#releaseAllBut(undefined);
    this.#speaker.close();
    this.#patient.close();
  }
}

function codeOf({ status, body }: Answer): string {
  const code = /"code":"(\w+)"/.exec(body)?.[1];
  return status >= 400 && code !== undefined ? code : String(status);
}

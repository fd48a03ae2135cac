import { DIGEST_BYTES, GROUP, KINDS, MAX_ASKED, type Kind } from './frames.ts';
import { PAGE } from './memory.ts';
import { groupQuestion, groupsIn, hasBit } from './page-groups.ts';

/** Pages of which the other end is to say whether it has them, and their digests. Used again for the next ones. */
export class AskedPages {
  /** The place after the last one is for the digest of the page that is looked at. */
  readonly digests = Buffer.alloc((MAX_ASKED + 1) * DIGEST_BYTES);
  readonly #pages = Buffer.allocUnsafe(MAX_ASKED * PAGE);
  count = 0;

  get isFull(): boolean {
    return this.count === MAX_ASKED;
  }

  /** Copies the page at `from`, whose digest is at the next place already. */
  take(pages: Buffer, from: number): void {
    pages.copy(this.#pages, this.count * PAGE, from, from + PAGE);
    this.count += 1;
  }

  page(index: number): Buffer {
    return this.#pages.subarray(index * PAGE, (index + 1) * PAGE);
  }

  /** Which of them the other end lacks, by its answers: where it takes such a question, it is asked for groups first. */
  async lacking(
    byGroups: boolean,
    ask: (kind: Kind, question: Buffer, count: number) => Promise<Buffer>,
  ): Promise<number[]> {
    let left = Array.from({ length: this.count }, (_, index) => index);
    if (byGroups) {
      const question = groupQuestion(this.#question(left));
      const groups = await ask(KINDS.askGroups, question, groupsIn(this.count));
      left = left.filter((index) => !hasBit(groups, Math.floor(index / GROUP)));
    }
    if (left.length === 0) return left;
    const pages = await ask(KINDS.ask, this.#question(left), left.length);
    return left.filter((_, at) => !hasBit(pages, at));
  }

  /** The digests of these; a copy, since it is sent while the next ones are looked at. */
  #question(indices: readonly number[]): Buffer {
    const question = Buffer.alloc(indices.length * DIGEST_BYTES);
    for (const [at, index] of indices.entries()) {
      const from = index * DIGEST_BYTES;
      this.digests.copy(question, at * DIGEST_BYTES, from, from + DIGEST_BYTES);
    }
    return question;
  }
}

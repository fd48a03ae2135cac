export interface Standing {
  readonly sent: number;
  /** Part of `sent` that the other hypervisor has. */
  readonly taken: number;
  /** Something was sent after the last answer. */
  readonly asked: boolean;
}

/**
 * Detects that a connection's other host has not answered for too long: sent data is not taken, or all is taken
 * without an answer since. Checked periodically, so the limit is exceeded by at most one interval.
 */
export class AnswerTimeout {
  /** Unacknowledged bytes at each look within the limit. */
  #marks: { readonly atMs: number; readonly sent: number }[] = [];
  #sent = 0;
  #taken = 0;
  /** Time since which everything is taken and an answer is missing. */
  #askedAtMs: number | undefined;

  isOver({ sent, taken, asked }: Standing, nowMs: number, withinMs: number): boolean {
    this.#marks = this.#marks.filter((mark) => mark.sent > taken);
    if (sent > this.#sent && sent > taken) this.#marks.push({ atMs: nowMs, sent });
    if (!asked || taken < sent) this.#askedAtMs = undefined;
    else if (taken > this.#taken) this.#askedAtMs = nowMs;
    else this.#askedAtMs ??= nowMs;
    this.#sent = sent;
    this.#taken = taken;
    const since = this.#marks[0]?.atMs ?? this.#askedAtMs;
    return since !== undefined && nowMs - since > withinMs;
  }
}

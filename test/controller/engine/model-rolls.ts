import type { RollCalls } from '../../../src/controller/engine/ports.ts';
import type { StageAnswer } from '../../../src/controller/requests/roll-health.ts';
import type { MemoryStore } from './memory-store.ts';

/** What the site's program must not do: it is told an id so that it needs not. */
export type RollFlaw = 'program-runs-twice';

interface Dependencies {
  readonly store: MemoryStore;
  readonly flaws: ReadonlySet<string>;
  /** Whether no guest is on that host, or on its way there: in truth, not as it was seen. */
  readonly isEmpty: (host: string) => boolean;
}

type Call = (what: string, execute: () => Promise<StageAnswer>) => Promise<StageAnswer>;

/** The hosts and the site's program of a roll, and the rules of one. */
export class ModelRolls {
  readonly #request: string;
  readonly #deps: Dependencies;
  readonly #onBreak: (rule: string) => void;
  /** How often the program did its work, by the id that it was given. */
  readonly #ran = new Map<string, number>();
  #stageAtCancel: string | undefined;

  constructor(request: string, deps: Dependencies, onBreak: (rule: string) => void) {
    this.#request = request;
    this.#deps = deps;
    this.#onBreak = onBreak;
  }

  calls(call: Call): RollCalls {
    return {
      host: (name) =>
        call(`look at ${name}`, async () => ({
          of: 'host',
          ok: true,
          version: '1',
          sampled: true,
        })),
      program: ({ host, id }) => call(`program ${host} ${id}`, () => this.#program(host, id)),
    };
  }

  /** It does its work once for each id. */
  async #program(host: string, id: string): Promise<StageAnswer> {
    const { flaws, isEmpty, store } = this.#deps;
    const before = this.#ran.get(id) ?? 0;
    if (before === 0 || flaws.has('program-runs-twice')) {
      this.#ran.set(id, before + 1);
      if (!isEmpty(host)) this.#onBreak(`the program runs on ${host}, and a guest is there`);
      if (store.marks.get(host)?.drainingFor !== this.#request) {
        this.#onBreak(`the program runs on ${host}, to which guests may come`);
      }
    }
    return { of: 'program', ok: true, promised: {} };
  }

  cancelled(): void {
    this.#stageAtCancel = this.#stage();
  }

  check(): void {
    const { store } = this.#deps;
    const request = store.rows.get(this.#request)?.request;
    if (request?.ask.kind !== 'roll') return;
    const closed = [...store.marks.values()].filter(({ drainingFor }) => drainingFor !== undefined);
    if (closed.length > 1) this.#onBreak('two hosts are closed at once');
    for (const [id, times] of this.#ran) {
      if (times > 1) this.#onBreak(`the program did its work twice for ${id}`);
    }
    if (
      request.phase === 'done' &&
      (this.#ran.size !== request.ask.hosts.length || closed.length > 0)
    ) {
      this.#onBreak('it is done, and not every host has had its program and is open');
    }
    const isNew = this.#stageAtCancel !== undefined && this.#stage() !== this.#stageAtCancel;
    if (isNew && request.roll?.stage === 'running')
      this.#onBreak('a program begins after the cancel');
  }

  key(): unknown {
    return [[...this.#ran], this.#stageAtCancel];
  }

  #stage(): string {
    const roll = this.#deps.store.rows.get(this.#request)?.request.roll;
    return `${roll?.at} ${roll?.stage}`;
  }
}

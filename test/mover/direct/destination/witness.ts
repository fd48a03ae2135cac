import assert from 'node:assert/strict';
import type { DestinationSession } from '../../../../src/port/direct.ts';
import { silentLog } from '../../../../src/log.ts';
import {
  destinationAfter,
  initialDestination,
  type DestinationEvent,
  type DestinationState,
} from '../../../../src/migration/direct/destination/destination.ts';
import type { BuildPlan, Ways } from '../../../../src/mover/direct/destination/lifecycle.ts';
import { planned, preparationOf } from '../../../migration/direct/samples.ts';
import { admissionOf } from '../../../protocol/peer/admission.ts';

/**
 * A host that records what exists of a guest, and judges each change of it by rules of its own. It shares no order and no
 * table with the product.
 */

/** What may befall one way to the host. `death`: of the mover; nothing that it had in memory is left. */
export const HITS = ['none', 'fails before', 'fails after', 'death before', 'death after'] as const;
export type Hit = (typeof HITS)[number];

export class Death extends Error {}

const THINGS = [
  'backing file',
  'entry',
  'port',
  'image',
  'TPM state',
  'hypervisor',
  'stream',
  'tunnel',
] as const;
type Thing = (typeof THINGS)[number];
/** What a guest writes to, and what lies below that. */
export const DATA: readonly Thing[] = ['backing file', 'image', 'TPM state'];
/** They end with the mover that has them in its memory; an entry times out. */
const OF_MOVER: readonly Thing[] = ['entry', 'stream', 'tunnel'];

const plan = planned();
const COPY = { node: 'vda', pool: 'p', path: 'web1/vda.raw' };
export const PLAN: BuildPlan = {
  preparation: { ...preparationOf(plan), copies: [COPY] },
  nics: [{ id: 'net0', mac: '52:54:00:00:00:01' }],
  ports: { net0: 'gw0' },
  images: [{ node: 'vda', file: '/p/web1/vda.raw', directories: ['/p/web1'], place: COPY }],
};
const HANDLE = { driver: 'fake', name: 'web1', pid: 1, startTicks: 1, monitor: '/qmp' };
const ADMITTED = { type: 'admitted', admission: admissionOf(plan), host: 'b' } as const;
export const EPOCH = ADMITTED.admission.epoch;

export class Witness {
  readonly there = new Set<Thing>();
  readonly journal: DestinationEvent[] = [];
  /** Every way that was taken, with what befell it. */
  readonly met = new Set<string>();
  /** A file of the guest, or a thing of it, may go only once these have gone. */
  readonly #goesAfter: Readonly<Record<Thing, readonly Thing[]>> = {
    hypervisor: [],
    stream: [],
    tunnel: [],
    port: ['hypervisor'],
    entry: ['hypervisor', 'port'],
    image: ['hypervisor', 'tunnel'],
    'TPM state': ['hypervisor'],
    'backing file': ['hypervisor', 'image'],
  };
  readonly #hit: (way: string) => Hit;

  constructor(hit: (way: string) => Hit) {
    this.#hit = hit;
  }

  get state(): DestinationState {
    return this.journal.reduce(destinationAfter, initialDestination(ADMITTED));
  }

  has(type: DestinationEvent['type']): boolean {
    return this.journal.some((event) => event.type === type);
  }

  /** By the records alone: it had the right to run, or a reboot may have taken the record of that. */
  get mayHaveWritten(): boolean {
    if (this.has('never-ran')) return false;
    const isVouchedFor = this.journal.some((event) => event.type === 'refused' && event.neverRan);
    const isForgotten = this.journal.some(
      (event) => event.type === 'taken-over' && !event.neverRan,
    );
    return this.has('committed') || (isForgotten && !isVouchedFor);
  }

  comes(thing: Thing): void {
    const announced = thing === 'backing file' ? 'seeding' : 'preparing';
    assert.ok(this.has(announced), `no record leads a later mover to the ${thing}`);
    if (thing === 'hypervisor') for (const needed of ['port', 'image'] as const) this.#must(needed);
    if (thing === 'stream') this.#must('hypervisor');
    this.there.add(thing);
  }

  goes(thing: Thing): void {
    for (const user of this.#goesAfter[thing]) {
      assert.ok(!this.there.has(user), `the ${thing} goes while the ${user} is there`);
    }
    assert.ok(
      !this.mayHaveWritten || !DATA.includes(thing),
      `the ${thing} that a guest wrote goes`,
    );
    // One that was given the right has used it, and one that has forgotten answers no commit.
    const isOver = this.has('refused') || this.has('committed') || this.has('taken-over');
    const mayRun = this.has('armed') && !isOver;
    if (thing === 'hypervisor') assert.ok(!mayRun, 'a commit would find no guest');
    this.there.delete(thing);
  }

  #must(thing: Thing): void {
    assert.ok(this.there.has(thing), `made without the ${thing}`);
  }

  /** The mover takes a way to the host, and `hit` says what befalls it there. */
  async step(way: string, work: () => void): Promise<void> {
    const hit = this.#hit(way);
    this.met.add(`${way}: ${hit}`);
    const ends = (): never => {
      if (hit.startsWith('fails')) throw new Error(`${way} fails`);
      for (const thing of OF_MOVER) this.there.delete(thing);
      throw new Death(`the mover dies: ${way}`);
    };
    if (hit.endsWith('before')) ends();
    work();
    if (hit.endsWith('after')) ends();
  }

  /** Another mover, with nothing in its memory. */
  mover(): { readonly ways: Ways; readonly ledger: WitnessLedger; takesEntries: boolean } {
    const there = (thing: Thing) => this.step(`make the ${thing}`, () => this.comes(thing));
    const gone = (thing: Thing) => this.step(`remove the ${thing}`, () => this.goes(thing));
    const looks = (what: string) => this.step(what, () => undefined);
    const session: Partial<DestinationSession> = {
      user: async () => undefined,
      start: async () => {
        await there('TPM state');
        await there('hypervisor');
        return { handle: HANDLE, memoryAddress: 'b:1' };
      },
      destroy: async (_signal, { keepsData = false } = {}) => {
        await gone('hypervisor');
        if (!keepsData) await gone('TPM state');
      },
      settle: () => looks('settle the hypervisor'),
    };
    const mover = {
      takesEntries: true,
      ledger: new WitnessLedger(this),
      ways: {
        backingFiles: {
          stop: async () => undefined,
          discard: () => gone('backing file'),
          keep: () => looks('keep the backing file'),
        },
        connections: {
          forget: async () => {
            mover.takesEntries = false;
            await gone('entry');
          },
        },
        ports: {
          make: () => there('port'),
          bound: () => looks('wait for the ports to be bound'),
          remove: () => gone('port'),
        },
        hook: () => looks('call the hook'),
        images: {
          find: async () => {
            await looks('find the images');
            return new Map();
          },
          make: async () => {
            await there('image');
            return new Map([['vda', '/p/web1/vda.raw']]);
          },
          mustHaveOpened: () => looks('look at what is open'),
          keep: () => looks('keep the image'),
          setAside: () => looks('set the image aside'),
          discard: () => gone('image'),
        },
        open: async () => session as DestinationSession,
        dataPath: {
          setup: () => ({ mode: 'precopy', streams: 1, compress: 'none', tls: true }) as never,
          address: async (_state, at) => {
            await there('stream');
            return at;
          },
          end: async () => this.goes('stream'),
          abort: () => this.goes('stream'),
        },
        disks: { abort: () => this.goes('tunnel') },
        compare: { end: async () => undefined },
        log: silentLog,
      } satisfies Ways,
    };
    return mover;
  }
}

export class WitnessLedger {
  readonly #witness: Witness;

  constructor(witness: Witness) {
    this.#witness = witness;
  }

  get state(): DestinationState {
    return this.#witness.state;
  }

  record(event: DestinationEvent): Promise<void> {
    return this.#witness.step(`record ${event.type}`, () => this.#witness.journal.push(event));
  }
}

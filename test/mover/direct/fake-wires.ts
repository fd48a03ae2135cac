import type { FakeHosts } from '../../../sim/fake/driver.ts';
import { godwitError } from '../../../src/errors.ts';
import type { LinkMeasure } from '../../../src/links/session.ts';
import type { WireOpeners } from '../../../src/mover/shared/wire-openers.ts';
import type {
  SourceWire,
  SourceWireOptions,
  TargetWire,
  TargetWireOptions,
  WireFigures,
} from '../../../src/wire/open.ts';

type World = FakeHosts;

const FIGURES: WireFigures = {
  streamBytes: 4000,
  linkBytes: 1000,
  returnBytes: 10,
  encoded: {
    bytes: 1,
    zero: 2,
    literal: 3,
    same: 0,
    delta: 0,
    repeat: 0,
    cached: 0,
    base: 0,
    deltaOfBase: 0,
    code: 0,
  },
  misses: 0,
  levelChanges: [],
  processorMs: 12.5,
  cuts: 1,
  longestCutMs: 700.25,
};

class FakeWire implements SourceWire, TargetWire {
  readonly address: string;
  measure: LinkMeasure = { bytesPerS: 0, roundTripMs: 0, connections: 1, cutForMs: undefined };
  readonly #over = Promise.withResolvers<void>();
  readonly #broken: (error: Error) => void;

  constructor(address: string, broken: (error: Error) => void) {
    this.address = address;
    this.#broken = broken;
    this.#over.promise.catch(() => undefined);
  }

  get ended(): Promise<void> {
    return this.#over.promise;
  }

  limit(): void {}

  figures(): WireFigures {
    return FIGURES;
  }

  close(): Promise<void> {
    this.#over.resolve();
    return Promise.resolve();
  }

  abort(error: Error): void {
    this.#over.reject(error);
    this.#broken(error);
  }
}

/** Wires between the hypervisors of a pretended world: a source's socket leads to the destination's. */
export class FakeWires implements WireOpeners {
  readonly sources: SourceWireOptions[] = [];
  readonly targets: TargetWireOptions[] = [];
  /** Why ends at the source were broken off. */
  readonly aborted: Error[] = [];
  readonly #world: World;
  readonly #waiting = new Map<string, TargetWireOptions>();
  #newest: FakeWire | undefined;
  #port = 50_000;

  constructor(world: World) {
    this.#world = world;
  }

  source(options: SourceWireOptions): Promise<SourceWire> {
    this.sources.push(options);
    const target = this.#waiting.get(options.addresses[0] ?? '');
    if (target?.session !== options.session) {
      const facts = { peer: options.peer, address: options.addresses[0] ?? '' };
      return Promise.reject(
        godwitError('GODWIT_UNREACHABLE', { ...facts, reason: 'nobody waits' }),
      );
    }
    this.#world.relays.set(`unix:${options.socket}`, `unix:${target.socket}`);
    const broken = (error: Error): void => {
      this.aborted.push(error);
      this.#break();
    };
    this.#newest = new FakeWire('', broken);
    return Promise.resolve(this.#newest);
  }

  /** The newest session of a source has had no link for so long; undefined: it has one. */
  cut(cutForMs: number | undefined): void {
    if (this.#newest === undefined) throw new Error('there is no session');
    this.#newest.measure = { ...this.#newest.measure, cutForMs };
  }

  /** It is over, for good. */
  end(): void {
    this.#newest?.abort(new Error('its links were away for too long'));
  }

  target(options: TargetWireOptions): Promise<TargetWire> {
    this.targets.push(options);
    const address = `127.0.0.1:${this.#port++}`;
    this.#waiting.set(address, options);
    const broken = (): void => {
      this.#waiting.delete(address);
      this.#break();
    };
    return Promise.resolve(new FakeWire(address, broken));
  }

  #break(): void {
    this.#world.cutLink();
    this.#world.restoreLink();
  }
}

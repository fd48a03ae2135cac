import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { receive } from '../../../src/mover/receiver/main.ts';
import { type TargetWire, NO_FIGURES } from '../../../src/wire/open.ts';
import { PretendedClock } from '../managed/pretended-clock.ts';

/** A wire that tells what is done to it. */
class PretendedWire implements TargetWire {
  readonly address = '127.0.0.1:1';
  readonly #ended = Promise.withResolvers<void>();
  readonly ended = this.#ended.promise;
  readonly said: string[] = [];
  measure;

  constructor(connections: number) {
    this.measure = { connections } as TargetWire['measure'];
  }

  figures(): typeof NO_FIGURES {
    return NO_FIGURES;
  }

  async close(): Promise<void> {
    this.said.push('close');
  }

  abort(error: Error): void {
    this.said.push(error.message);
    this.#ended.reject(error);
  }

  end(): void {
    this.#ended.resolve();
  }
}

describe('a receiver', () => {
  test("a receiver saves its cache's new entries before it ends", async () => {
    const wire = new PretendedWire(1);
    wire.end();
    await receive({ wire }, { timeoutMs: 60_000 }, new PretendedClock());
    assert.deepEqual(wire.said, ['close']);
  });

  test('a receiver ends if no source opens its session', async () => {
    const [wire, clock] = [new PretendedWire(0), new PretendedClock()];
    await receive({ wire }, { timeoutMs: 600_000 }, clock);
    assert.deepEqual(wire.said, ['nobody has opened the session', 'close']);
    assert.equal(clock.monotonicMs(), 60_000);
  });

  test('a receiver ends when its migration is long over, whatever its source does', async () => {
    const [wire, clock] = [new PretendedWire(1), new PretendedClock()];
    await receive({ wire }, { timeoutMs: 600_000 }, clock);
    assert.deepEqual(wire.said, ['its migration is long over', 'close']);
    assert.equal(clock.monotonicMs(), 720_000);
  });

  test("a receiver ends the path of the disks together with the memory's path, and not before", async () => {
    const [wire, said] = [new PretendedWire(1), [] as string[]];
    const disks = { close: async () => void said.push('closed'), abort: () => undefined };
    const received = receive({ wire, disks }, { timeoutMs: 60_000 }, new PretendedClock());
    assert.deepEqual(said, []);
    wire.end();
    await received;
    assert.deepEqual(said, ['closed']);
  });
});

import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { arpProbes } from '../../../../src/network/probe/kinds/arp.ts';
import type { ProbePort } from '../../../../src/network/segment/probe-port.ts';

const [OWN, GUEST] = ['02:00:00:00:00:01', '02:00:00:00:00:02'];
const TARGET = { address: '10.0.0.9', mac: GUEST };

/** An ARP reply, as far as it is looked at. */
const REPLY = Buffer.alloc(60);
REPLY.set([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 2, 10, 0, 0, 9], 12);

/** A port whose guest answers after so long, by a clock that the test moves. */
class FakePort implements ProbePort {
  readonly mac = OWN;
  nowMs = 0;
  looks = 0;
  heardAtMs: number[] = [];
  answersAfterMs: number | undefined = 1;
  #due: number[] = [];
  /** Frames of others that wait. */
  others = 0;

  async send(): Promise<void> {
    if (this.answersAfterMs !== undefined) this.#due.push(this.nowMs + this.answersAfterMs);
  }

  async receive(): Promise<Buffer | undefined> {
    if (this.others > 0) {
      this.others -= 1;
      return Buffer.alloc(60);
    }
    const [first = Infinity] = this.#due;
    if (first > this.nowMs) {
      this.looks += 1;
      return undefined;
    }
    this.#due.shift();
    return REPLY;
  }

  async close(): Promise<void> {}
}

interface Scene {
  readonly port: FakePort;
  /** Lets so long pass, asking each so many ms. */
  readonly pass: (ms: number, askEachMs?: number) => Promise<void>;
}

function scene(t: TestContext): Scene {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const port = new FakePort();
  const heard = (): void => void port.heardAtMs.push(port.nowMs);
  const arp = arpProbes(port, [TARGET], heard, () => port.nowMs);
  t.after(() => arp.close());
  const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
  return {
    port,
    pass: async (ms, askEachMs) => {
      for (let at = 0; at < ms; at += 1) {
        if (askEachMs !== undefined && at % askEachMs === 0) arp.probes[0]?.ask();
        port.nowMs += 1;
        t.mock.timers.tick(1);
        await settle();
      }
    },
  };
}

describe('an ARP probe', () => {
  test('an ARP probe that asks rarely checks for its answer a few times per question', async (t) => {
    const { port, pass } = scene(t);
    await pass(1000, 100);
    assert.equal(port.heardAtMs.length, 10);
    // One 3 ms after each question, and then one each 25 ms.
    assert.ok(port.looks <= 50, `${port.looks} looks in a second`);
  });

  test('an ARP probe that asks often sees its answer within 3 ms', async (t) => {
    const { port, pass } = scene(t);
    port.answersAfterMs = 5;
    await pass(500, 10);
    assert.equal(port.heardAtMs.length, 50);
    for (const [index, atMs] of port.heardAtMs.entries())
      assert.ok(atMs - (index * 10 + 5) <= 3, `${index}: seen at ${atMs} ms`);
  });

  test('an ARP probe checks a silent guest less and less often, and detects it within 25 ms', async (t) => {
    const { port, pass } = scene(t);
    port.answersAfterMs = 950;
    await pass(1, 1);
    await pass(999);
    assert.equal(port.heardAtMs.length, 1);
    assert.ok((port.heardAtMs[0] ?? 0) - 950 <= 25);
    assert.ok(port.looks <= 60, `${port.looks} looks in a second`);
  });

  test('an ARP probe finds its answer among many other frames', async (t) => {
    const { port, pass } = scene(t);
    port.others = 640;
    await pass(60, 60);
    assert.equal(port.heardAtMs.length, 1);
  });
});

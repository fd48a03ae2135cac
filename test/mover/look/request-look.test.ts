import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RequestLook } from '../../../src/mover/look/request-look.ts';
import type { RequestCounter } from '../../../src/port/disks.ts';
import type { SourceGuest } from '../../../src/mover/direct/source/guest/guest.ts';

function scene(counter: Partial<RequestCounter> | undefined) {
  const done: string[] = [];
  const requests = counter && {
    begin: async (nodes: readonly string[]) => void done.push(`begin ${nodes.join()}`),
    read: async (nodes: readonly string[]) => {
      done.push('read');
      return nodes.map((node) => ({ node, writes: { boundaries: [1e6], bins: [3, 0] } }));
    },
    end: async () => void done.push('end'),
    ...counter,
  };
  const guest: unknown = { session: async () => ({ disks: { requests } }) };
  return { done, look: new RequestLook(async () => guest as SourceGuest) };
}

describe("a guest's disk requests", () => {
  test("a guest's disk requests are counted from the moment the disks are known until they are taken, once", async () => {
    const { look, done } = scene({});
    look.begin([]);
    look.begin(['disk0']);
    look.begin(['disk0']);
    const { diskLatency: [disk] = [] } = await look.take();
    assert.deepEqual(done, ['begin disk0', 'read', 'end']);
    assert.deepEqual(disk?.before?.writes, { count: 3, p50Ms: 1, p99Ms: 1 });
    assert.deepEqual(await look.take(), {});
  });

  test("a guest's disk requests are empty if no disk would be copied, or its hypervisor cannot count", async () => {
    const nothing = scene({});
    nothing.look.begin([]);
    assert.deepEqual([await nothing.look.take(), nothing.done], [{}, []]);
    const refuse = () => Promise.reject(new Error('refused'));
    for (const counter of [undefined, { begin: refuse }, { read: refuse }]) {
      const { look } = scene(counter);
      look.begin(['disk0']);
      assert.deepEqual(await look.take(), {});
    }
  });
});

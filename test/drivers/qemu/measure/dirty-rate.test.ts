import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { calcDirtyRate } from '../../../../src/drivers/qemu/measure/dirty-rate.ts';

const MIB = 1024 ** 2;
const { signal } = new AbortController();
let nowMs = 0;
const clock = { monotonicMs: () => nowMs, sleep: async (ms: number) => void (nowMs += ms) };

function monitor(rates: readonly (number | 'measuring')[], ok = true) {
  const left = [...rates];
  const asked: unknown[] = [];
  const request = async (_command: string, args: unknown) => {
    asked.push(args);
    return ok ? { ok: true, value: {} } : { ok: false, reason: 'still measuring' };
  };
  const query = async () => {
    const next = left.shift();
    if (next === 'measuring') return { status: next, 'calc-time': 1 };
    return { status: 'measured', 'dirty-rate': next, 'calc-time': 1 };
  };
  return { asked, client: { request, query } as never };
}

describe("QEMU's dirty rate", () => {
  test('the dirty rate is a curve over its windows, once QEMU has measured each', async () => {
    const { client, asked } = monitor(['measuring', 20, 8]);
    assert.deepEqual(await calcDirtyRate(client, 1024 * MIB, clock, signal), [
      { windowMs: 1000, dirtyBytes: 20 * MIB },
      { windowMs: 3000, dirtyBytes: 24 * MIB },
    ]);
    assert.deepEqual(asked, [{ 'calc-time': 1 }, { 'calc-time': 3 }]);
  });

  test('the dirty rate is never more than all of memory, nor negative', async () => {
    const { client } = monitor([5000, -1]);
    const curve = await calcDirtyRate(client, 16 * MIB, clock, signal);
    assert.deepEqual(
      curve?.map(({ dirtyBytes }) => dirtyBytes),
      [16 * MIB, 0],
    );
  });

  test('the dirty rate is not waited for without an end', async () => {
    const { client } = monitor(Array.from({ length: 1000 }, () => 'measuring' as const));
    assert.equal(await calcDirtyRate(client, MIB, clock, signal), undefined);
  });

  test('the dirty rate is unknown if QEMU does not begin', async () => {
    const { client } = monitor([], false);
    assert.equal(await calcDirtyRate(client, MIB, clock, signal), undefined);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { godwitError } from '../../../../../src/errors.ts';
import { sameMachine } from '../../../../../src/mover/direct/source/guest/guest-changes.ts';
import type { MoverParts } from '../../../../../src/mover/direct/source/source-base.ts';
import type { Check } from '../../../../../src/protocol/public/migration.ts';

type Compare = (there: unknown, host: string) => Check;
const signal = AbortSignal.timeout(10_000);
const SAME: Check = { name: 'same-machine', side: 'both', verdict: 'pass', evidence: 'all of it' };

/** Reads the machine at the source, and compares the destination's as it is reported. */
function compared(read: () => Promise<Compare | undefined>, there: unknown): Promise<Check[]> {
  const context = { guest: { machine: read }, state: () => ({ plan: { to: 'b' } }) };
  return sameMachine(context as unknown as MoverParts, signal)(there);
}

describe("the destination's machine", () => {
  test("the destination's machine is compared with the one that runs here", async () => {
    const asked: unknown[] = [];
    const compare = (...reported: unknown[]): Check => {
      asked.push(...reported);
      return SAME;
    };
    assert.deepEqual(await compared(async () => compare, { version: 'x' }), [SAME]);
    assert.deepEqual(asked, [{ version: 'x' }, 'b']);
  });

  test("the destination's machine is not compared by a driver that cannot report machines", async () => {
    assert.deepEqual(await compared(async () => undefined, {}), []);
  });

  test("the destination's machine causes a warning if an older destination does not report it", async () => {
    const [check] = await compared(async () => () => SAME, undefined);
    assert.equal(check?.verdict, 'warn');
    assert.match(check.evidence, /b did not report what it has made$/);
  });

  test("the destination's machine causes a warning if the local one cannot be read in time", async () => {
    const late = godwitError('GODWIT_DEADLINE', { what: 'reading', deadlineMs: 10_000 });
    const [check] = await compared(() => Promise.reject(late), {});
    assert.equal(check?.verdict, 'warn');
    assert.match(check.evidence, /not found out whether it is the same machine there/);
  });

  test('the step fails if the reported machine is invalid, or the guest is gone', async () => {
    for (const error of [
      godwitError('GODWIT_PROTOCOL_INVALID', { peer: 'b', expected: 'x', what: 'y' }),
      godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest: 'web1', reason: 'gone' }),
    ]) {
      const throwing: Compare = () => {
        throw error;
      };
      await assert.rejects(
        compared(async () => throwing, {}),
        error,
      );
    }
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { reasonOf, tryOpen, tryProgram } from '../../../src/cli/doctor/attempt.ts';

const ok = { ok: true } as const;
const no = (reason: string): { ok: false; reason: string } => ({ ok: false, reason });

describe("doctor's attempts", () => {
  test('a missing program is reported as missing', async () => {
    assert.equal(
      reasonOf(await tryProgram(['godwit-no-such-program'])),
      'godwit-no-such-program is not installed',
    );
  });

  test('a program that does not end is killed', async () => {
    const outcome = await tryProgram(['sleep', '60'], { deadlineMs: 20 });
    assert.equal(outcome.status, undefined);
    assert.equal(reasonOf(outcome), 'it did not end in time');
  });

  test('a failed program is reported with its last words', async () => {
    const outcome = await tryProgram(['sh', '-c', 'echo one >&2; echo two >&2; exit 3']);
    assert.equal(outcome.status, 3);
    assert.equal(reasonOf(outcome), 'two');
  });

  test('a missing device is reported as missing', async () => {
    assert.deepEqual(await tryOpen('/dev/godwit-no-such-device'), no('it is not there'));
    assert.deepEqual(await tryOpen('/dev/null'), ok);
  });
});

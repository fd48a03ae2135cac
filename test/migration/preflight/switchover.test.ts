import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  judgeSwitchover,
  neededMs,
  type DeviceState,
} from '../../../src/migration/preflight/switchover.ts';

const MIB = 1024 ** 2;
const SLOW = 100 * MIB;

test('a guest without such devices has no finding', () => {
  assert.deepEqual(judgeSwitchover({ devices: [], maxDowntimeMs: 1 }), []);
});

test('a state that fits passes with its size, and one that does not gives the time to allow', () => {
  const devices = [{ device: 'net1', stopCopyBytes: 5 * MIB }];
  const [fits] = judgeSwitchover({ devices, maxDowntimeMs: 100, bytesPerS: SLOW });
  assert.equal(fits?.verdict, 'pass');
  assert.match(fits?.evidence ?? '', /net1 5(\.0)? MiB/);
  const [tight] = judgeSwitchover({ devices, maxDowntimeMs: 10, bytesPerS: SLOW });
  assert.equal(tight?.verdict, 'refuse');
  assert.equal(tight.error?.code, 'GODWIT_USAGE');
  assert.match(
    tight.evidence,
    /net1 5(\.0)? MiB .* takes 50 ms at 100(\.0)? MiB\/s; 10 ms of downtime are allowed/,
  );
  assert.match(tight.error.hint, /--max-downtime 50ms/);
});

test('an upper estimate of the state causes a warning, and a known state refuses next to it', () => {
  const guessed = { device: 'gpu', memoryBytes: 500 * MIB };
  const known = { device: 'net1', stopCopyBytes: 5 * MIB };
  const verdict = (devices: readonly DeviceState[], maxDowntimeMs: number) =>
    judgeSwitchover({ devices, maxDowntimeMs, bytesPerS: SLOW }).at(-1)?.verdict;
  assert.equal(verdict([guessed], 10), 'warn');
  assert.equal(verdict([guessed, known], 60), 'warn');
  assert.equal(verdict([guessed, known], 40), 'refuse');
});

test('a device that sends part of its state while the guest runs causes a warning: less may be left', () => {
  const device = { device: 'net1', stopCopyBytes: 5 * MIB };
  const verdict = (devices: readonly DeviceState[]) =>
    judgeSwitchover({ devices, maxDowntimeMs: 10, bytesPerS: SLOW }).at(-1)?.verdict;
  assert.equal(verdict([device]), 'refuse');
  assert.equal(verdict([{ ...device, sendsBefore: true }]), 'warn');
  assert.equal(verdict([device, { ...device, sendsBefore: true }]), 'refuse');
});

test('the finding without a known rate gives the rate that the link needs', () => {
  const devices = [{ device: 'gpu', memoryBytes: 2048 * MIB }];
  const [found] = judgeSwitchover({ devices, maxDowntimeMs: 1000 });
  assert.match(found?.evidence ?? '', /gpu at most 2(\.0)? GiB.*2(\.0)? GiB\/s/);
});

test('a driver that does not report its size is named', () => {
  const [found] = judgeSwitchover({ devices: [{ device: 'qat0' }], maxDowntimeMs: 100 });
  assert.equal(found?.verdict, 'warn');
  assert.match(found?.evidence ?? '', /qat0/);
});

test("a larger state never fits if a smaller one does not, and the hint's time suffices", () => {
  const bytes = fc.integer({ min: 1, max: 2 ** 36 });
  const downtime = fc.integer({ min: 1, max: 60_000 });
  fc.assert(
    fc.property(
      bytes,
      bytes,
      downtime,
      fc.integer({ min: 1024, max: 2 ** 34 }),
      (one, two, ms, rate) => {
        const refuses = (size: number, maxDowntimeMs: number): boolean =>
          judgeSwitchover({
            devices: [{ device: 'd', stopCopyBytes: size }],
            maxDowntimeMs,
            bytesPerS: rate,
          }).some(({ verdict }) => verdict === 'refuse');
        if (refuses(Math.min(one, two), ms)) assert.ok(refuses(Math.max(one, two), ms));
        assert.equal(refuses(one, neededMs(one, rate)), false);
        assert.equal(refuses(one, ms), neededMs(one, rate) > ms);
      },
    ),
  );
});

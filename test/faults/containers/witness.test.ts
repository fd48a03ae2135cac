import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  isEnding,
  neverBegan,
  placeIn,
  runsNothing,
  waitsForProcessor,
} from '../../../faults/containers/witness.ts';
import { readStat } from '../../../src/system/processes/process.ts';

const status = (change: Record<string, string> = {}): string => {
  const fields = {
    State: 'S (sleeping)',
    VmSize: '  1024 kB',
    SigPnd: '0000000000000000',
    ShdPnd: '0000000000000000',
    SigBlk: '0000000000000000',
    ...change,
  };
  return Object.entries(fields)
    .map(([name, value]) => `${name}:\t${value}\n`)
    .join('');
};

test('a process that sleeps, or that blocks some signals, runs', () => {
  assert.equal(runsNothing(status()), false);
  assert.equal(runsNothing(status({ SigBlk: '0000000000014203' })), false);
  assert.equal(runsNothing(status({ ShdPnd: '0000000000004000' })), false);
  assert.equal(runsNothing(readFileSync('/proc/self/status', 'utf8')), false);
});

test('a process that is being restored, stopped, killed or over runs nothing of its program', () => {
  assert.equal(runsNothing(status({ SigBlk: 'fffffffe7ffbfeff' })), true);
  assert.equal(runsNothing(status({ State: 'T (stopped)' })), true);
  assert.equal(runsNothing(status({ State: 't (tracing stop)' })), true);
  assert.equal(runsNothing(status({ ShdPnd: '0000000000000100' })), true);
  assert.equal(runsNothing(status({ SigPnd: '0000000000000100' })), true);
  assert.equal(runsNothing(status().replace(/VmSize.*\n/, '')), true);
});

test('a process that has received its final signal runs nothing more', () => {
  assert.deepEqual([0x40_0140, 0x40_0144, 0x40_0540].map(isEnding), [false, true, true]);
  const own = readStat(readFileSync('/proc/self/stat', 'utf8'));
  assert.ok(own !== undefined && !isEnding(own.flags));
});

test('a process that stops at its frozen place, without any call, has not begun; any other has run', () => {
  // As read of a process that is frozen in a system call, and of one that CRIU has restored and let go.
  const place = '0x7ffc60474e50 0x7f5bcb8e3cae';
  const frozen = placeIn(`281 0xd 0x7ffc60474e90 0x400 0x31 0x0 0x8 ${place}\n`);
  assert.deepEqual(frozen, { at: place, inCall: true });
  assert.equal(placeIn('running\n'), undefined);
  const began = (syscall: string, runsNothing = true): boolean =>
    !neverBegan({ runsNothing, place: placeIn(syscall) }, place);
  assert.equal(began(`-1 ${place}\n`), false);
  assert.equal(began(`-1 ${place}\n`, false), true);
  assert.equal(began('-1 0x7ffc60474e50 0x7f5bcb8e3cb0\n'), true);
  // It has gone round, and waits at the same place again.
  assert.equal(began(`281 0xd 0x7ffc60474e90 0x400 0x31 0x0 0x8 ${place}\n`), true);
  assert.equal(began('running\n'), true);
  // It is gone: whether it ran nobody knows.
  assert.equal(neverBegan(undefined, place), false);
  assert.equal(neverBegan({ runsNothing: true, place: undefined }, undefined), false);
});

test('a runnable process has run after half a millisecond on a processor, or if its time is unknown', () => {
  const since = (ranNs: number, place?: object): boolean =>
    waitsForProcessor({ place: place && { at: '', inCall: true }, ranNs }, 1_000_000);
  assert.deepEqual(
    [1_000_000, 1_499_999, 1_500_000, NaN].map((each) => since(each)),
    [true, true, false, false],
  );
  // It waits in a call of its own.
  assert.equal(since(1_000_000, {}), false);
});

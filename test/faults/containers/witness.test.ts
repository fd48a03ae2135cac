import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isEnding, runsNothing } from '../../../faults/containers/witness.ts';
import { readStat } from '../../../src/host/process.ts';

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

test('one that CRIU is restoring, that is stopped, that is killed or that has ended runs nothing of its program', () => {
  assert.equal(runsNothing(status({ SigBlk: 'fffffffe7ffbfeff' })), true);
  assert.equal(runsNothing(status({ State: 'T (stopped)' })), true);
  assert.equal(runsNothing(status({ State: 't (tracing stop)' })), true);
  assert.equal(runsNothing(status({ ShdPnd: '0000000000000100' })), true);
  assert.equal(runsNothing(status({ SigPnd: '0000000000000100' })), true);
  assert.equal(runsNothing(status().replace(/VmSize.*\n/, '')), true);
});

test('one that has taken the signal that ends it runs nothing more', () => {
  assert.deepEqual([0x40_0140, 0x40_0144, 0x40_0540].map(isEnding), [false, true, true]);
  const own = readStat(readFileSync('/proc/self/stat', 'utf8'));
  assert.ok(own !== undefined && !isEnding(own.flags));
});

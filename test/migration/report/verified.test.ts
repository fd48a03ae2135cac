import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  inOrder,
  judgeGuestClock,
  judgeHandedOver,
  judgeLeftWriters,
  judgeReached,
  judgeWriters,
  looked,
  LOOKS,
  notLooked,
} from '../../../src/migration/report/verified.ts';
import { passes } from '../../../src/migration/preflight/finding.ts';

const known = (aheadMs: number, tookMs = 2) => ({ aheadMs, tookMs });

describe('disks of a moved guest', () => {
  test("the moved guest's disks are correct if only one hypervisor may write to each", () => {
    const found = judgeWriters(
      'b',
      ['/d/one', '/d/two'],
      [['web1 (process 5)'], ['web1 (process 5)']],
    );
    assert.equal(found.verdict, 'pass');
  });

  test("the moved guest's disks are in doubt if two hypervisors, or none, may write to one", () => {
    const two = judgeWriters('b', ['/d/one'], [['web1 (process 5)', 'web1 (process 9)']]);
    assert.equal(two.verdict, 'warn');
    assert.match(two.evidence, /web1 \(process 5\) and web1 \(process 9\) write to \/d\/one/);
    assert.equal(judgeWriters('b', ['/d/one'], [[]]).verdict, 'warn');
  });

  test("the moved guest's disks are in doubt if any source hypervisor may still write to one", () => {
    assert.equal(judgeLeftWriters('a', ['/d/one'], [[]]).verdict, 'pass');
    const left = judgeLeftWriters('a', ['/d/one'], [['web1 (process 5)']]);
    assert.equal(left.verdict, 'warn');
    assert.match(left.evidence, /at a web1 \(process 5\) may still write/);
  });
});

describe('the clock of a moved guest', () => {
  const still = { betweenMs: 300, stoodStillMs: 80 };

  test("the moved guest's clock may be behind by the time of the guest's pause", () => {
    const clock = { ...still, before: known(5), after: [known(-75), known(-75)] } as const;
    const found = judgeGuestClock(clock);
    assert.equal(found.verdict, 'pass');
    assert.match(found.evidence, /^its clock is 80 ms behind where it was before/);
  });

  test('a clock that was wrong before the move is not a reason for doubt afterwards', () => {
    const clock = {
      ...still,
      before: known(90_000),
      after: [known(89_950), known(89_950)],
    } as const;
    assert.equal(judgeGuestClock(clock).verdict, 'pass');
  });

  test('a clock that stands still is in doubt', () => {
    const clock = { ...still, before: known(0), after: [known(-80), known(-380)] } as const;
    const found = judgeGuestClock(clock);
    assert.equal(found.verdict, 'warn');
    assert.match(found.evidence, /does not go as time does/);
  });

  test('a clock that is further off than a time service can correct is in doubt', () => {
    const clock = { ...still, before: known(0), after: [known(-30_000), known(-30_000)] } as const;
    const found = judgeGuestClock(clock);
    assert.equal(found.verdict, 'warn');
    assert.match(found.hint ?? '', /makestep/);
  });

  test('a clock is not in doubt just because the answer took long', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 900 }),
        fc.integer({ min: 0, max: 250 }),
        (off, took) => {
          const after = [known(-off, took), known(-off, took)] as const;
          assert.equal(
            judgeGuestClock({ ...still, before: known(0, took), after }).verdict,
            'pass',
          );
        },
      ),
    );
  });
});

describe('connections of a moved guest', () => {
  const of = (count: number, established: number, carried: number, reset: number) =>
    judgeHandedOver('b', { count, established, carried, reset });

  test("the moved guest's connections are alive if one carries packets", () => {
    const found = of(3, 2, 1, 0);
    assert.ok(typeof found !== 'string');
    assert.equal(found.verdict, 'pass');
  });

  test("the moved guest's connections are unknown if none was tracked, or none has carried anything yet", () => {
    assert.equal(typeof of(0, 0, 0, 0), 'string');
    assert.equal(typeof of(2, 2, 0, 0), 'string');
    assert.equal(typeof of(2, 1, 0, 1), 'string');
  });

  test("the moved guest's connections are in doubt if each was reset", () => {
    const found = of(2, 0, 0, 2);
    assert.ok(typeof found !== 'string');
    assert.equal(found.verdict, 'warn');
  });
});

describe('reachability of a guest', () => {
  const seen = { host: 'c', kind: 'icmp', address: '10.9.0.21', gapMs: 60 } as const;

  test("the guest's reachability is in doubt if a host that watched it no longer has an answer", () => {
    const found = judgeReached([seen, { ...seen, host: 'd', isOpen: true }]);
    assert.ok(typeof found !== 'string');
    assert.equal(found.verdict, 'warn');
    assert.match(found.evidence, /does not answer d any more/);
  });

  test("the guest's reachability is known from any host that has it, and not from hosts that did not look", () => {
    const found = judgeReached([{ host: 'd', notTried: 'no route' }, seen]);
    assert.ok(typeof found !== 'string');
    assert.equal(found.verdict, 'pass');
    assert.equal(judgeReached([{ host: 'd', notTried: 'no route' }]), 'd: no route');
    assert.equal(judgeReached([]), 'no other host was asked to');
  });
});

test('the checks after a move are shown in the order of their table, unknown ones last', () => {
  const clock = notLooked('guest-clock', 'both', 'no address');
  const copies = looked('copies', 'both', passes('one'));
  const other = { ...copies, name: 'newer' };
  assert.deepEqual(inOrder([other, clock, copies]), [copies, clock, other]);
  assert.equal(clock.notTried, true);
});

test('docs/checks.md lists each check after a move with its question', () => {
  const page = readFileSync(new URL('../../../docs/checks.md', import.meta.url), 'utf8');
  for (const [name, asks] of Object.entries(LOOKS))
    assert.ok(page.includes(`| \`${name}\` | ${asks} |`), name);
});

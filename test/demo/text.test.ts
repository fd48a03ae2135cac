import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { judgeMove } from '../../demo/outcome.ts';
import {
  clientLine,
  guestLine,
  guestWarning,
  moveLine,
  nextSteps,
  resultTable,
} from '../../demo/text.ts';
import { painter } from '../../src/words/style.ts';
import { client, evidence, guest, report } from './samples.ts';

const plain = painter(false);
const look = { columns: 200, isTerminal: false, paint: plain };
const good = judgeMove(evidence);

describe('the table of the demo', () => {
  test('has a row for each mode, aligned, and a note for one that was left out', () => {
    const text = resultTable(
      [good, { mode: 'postcopy', skipped: 'userfaultfd is not permitted', failing: false }],
      look,
    );
    assert.equal(
      text,
      [
        'MODE       MOVE      TOTAL  DOWNTIME  CLIENT GAP  SENT     ROUNDS  THROUGHPUT  CONNECTION  MEMORY',
        'pre-copy   a → b     3.1 s  12 ms     31 ms       402 MiB  4       143 MiB/s   kept        verified',
        'post-copy  left out  -      -         -           -        -       -           -           -',
        '',
        'post-copy was left out: userfaultfd is not permitted',
        '',
      ].join('\n'),
    );
  });

  test('shows what is broken, with the problem below and the hint of its error', () => {
    const bad = judgeMove({
      ...evidence,
      report: undefined,
      after: undefined,
      client: { ...client, connected: false, connectionKept: false, reason: 'ECONNRESET' },
      errors: [
        { code: 'GODWIT_LAB', message: 'gone', hint: 'fix it', retryable: false, facts: {} },
      ],
    });
    const text = resultTable([bad], look);
    assert.match(text, /BROKEN +NOT VERIFIED/);
    assert.match(text, /✘ pre-copy: gone\n/);
    assert.match(text, /✘ pre-copy: the client's connection broke: ECONNRESET\n/);
    assert.match(text, / {2}fix it\n/);
  });
});

describe('lines of the demo', () => {
  test('a good move says what the client waited', () => {
    assert.equal(
      moveLine(good, plain),
      "✔ a → b: moved in 3.1 s, the client's longest wait was 31 ms, connection kept, memory verified",
    );
  });

  test('hybrid says which mode finished it', () => {
    const finished = { ...report, mode: 'hybrid' as const, finished: 'postcopy' as const };
    const hybrid = judgeMove({ ...evidence, mode: 'hybrid', report: finished });
    assert.match(moveLine(hybrid, plain), /finished by post-copy/);
  });

  test('a bad move says what was wrong', () => {
    const line = moveLine(judgeMove({ ...evidence, runningOn: ['a'] }), plain);
    assert.equal(line, '✘ a → b: it runs on a, not on b alone');
  });

  test('the guest is described', () => {
    assert.equal(
      guestLine(guest),
      'web1 on a, 512 MiB, 128 MiB checksummed, 64 MiB of it rewritten at 20 MiB/s (QEMU 10.0.2, pc-q35-10.0, tcg)',
    );
    assert.match(guestLine({ ...guest, dirtyBytesPerSecond: 0 }), /none of it rewritten/);
  });

  test('warns of an old QEMU without KVM, and of no other', () => {
    const old = { ...guest, qemuVersion: '7.2.22' };
    assert.match(guestWarning(old) ?? '', /loses a changed page/);
    assert.equal(guestWarning({ ...old, accelerator: 'kvm' }), undefined);
    assert.equal(guestWarning(guest), undefined);
  });

  test('the connection that came through is distinguished from one that did not', () => {
    assert.match(clientLine(client, true), /^One TCP connection throughout: 3,161 answers/);
    assert.match(clientLine(client, false), /did not come through/);
    assert.match(clientLine({ ...client, lost: 2 }, true), /2 answers lost/);
  });

  test('what to try next names the lab and the other host', () => {
    const text = nextSteps('demo', guest, 'b');
    assert.match(text, /export GODWIT_LAB=demo/);
    assert.match(text, /\.\/godwit migrate web1 --to a /);
  });
});

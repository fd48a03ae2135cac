import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CounterCheck } from '../../../lab/probe/counter-check.ts';

test('answers in order are received and none is lost or doubled', () => {
  const check = new CounterCheck(0);
  for (let tick = 1; tick <= 100; tick += 1) {
    const line = check.next(tick * 3);
    check.receive(`${tick} ${line}`, tick * 3 + 1);
  }
  const { sent, received, lost, doubled, gapMs } = check.read(301, 0);
  assert.deepEqual(
    { sent, received, lost, doubled },
    { sent: 100, received: 100, lost: 0, doubled: 0 },
  );
  assert.equal(gapMs, 4);
});

test('answers may arrive split anywhere', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 12 }), { maxLength: 40 }), (cuts) => {
      const text = Array.from({ length: 20 }, (_, index) => `${index + 1} ${index + 1}\n`).join('');
      const check = new CounterCheck(0);
      for (let tick = 0; tick < 20; tick += 1) check.next(0);
      let at = 0;
      for (const cut of cuts) {
        check.receive(text.slice(at, at + cut), 1);
        at += cut;
      }
      check.receive(text.slice(at), 2);
      const { received, lost, doubled } = check.read(2, 0);
      assert.deepEqual({ received, lost, doubled }, { received: 20, lost: 0, doubled: 0 });
    }),
  );
});

test('a skipped answer is lost, a repeated one is doubled, and a wrong count is lost', () => {
  const check = new CounterCheck(0);
  check.receive('1 1\n3 3\n3 3\n4 5\n', 1);
  const { lost, doubled } = check.read(1, 0);
  assert.deepEqual({ lost, doubled }, { lost: 2, doubled: 1 });
});

test('the gap is the longest silence since the mark, with its start time', () => {
  const check = new CounterCheck(0);
  check.receive('1 1\n', 500);
  check.mark(510);
  check.receive('2 2\n', 512);
  check.receive('3 3\n', 542);
  check.receive('4 4\n', 545);
  const reading = check.read(550, 10_000);
  assert.equal(reading.gapMs, 30);
  assert.equal(reading.gapAtMs, 10_000 - (550 - 512));
  assert.equal(reading.typicalGapMs, 3);
});

test('a silence that is not over counts up to the time of reading', () => {
  const check = new CounterCheck(0);
  check.receive('1 1\n', 3);
  assert.equal(check.read(903, 0).gapMs, 900);
});

test("the probe's own stalls are counted separately", () => {
  const check = new CounterCheck(0);
  check.mark(0);
  check.next(3);
  check.next(203);
  assert.equal(check.read(204, 0).ownStallMs, 200);
});

test("a probe in a long silence sends less often, so that TCP's window lasts", () => {
  const check = new CounterCheck(0);
  let sent = 0;
  for (let ms = 0; ms < 60_000; ms += 3) if (check.next(ms) !== undefined) sent += 1;
  assert.ok(sent < 1100, `${sent} lines`);
});

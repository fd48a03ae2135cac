import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';
import { godwitError } from '../../../../src/errors.ts';
import { silentLog } from '../../../../src/log.ts';
import type { Log } from '../../../../src/log.ts';
import { Refusals } from '../../../../src/mover/direct/destination/refusals.ts';

test('what a peer says again and again is counted, and logged once a minute', async () => {
  let now = 0;
  const lines: object[] = [];
  const warn = (facts: object): void => void lines.push(facts);
  const log = { ...silentLog, warn } as unknown as Log;
  const refusals = new Refusals({ ...systemClock, monotonicMs: () => now }, log, 'c');
  const facts = { host: 'b', guest: 'web1', peer: 'c', part: 'options.0', what: 'no value' };
  const refuse = () => Promise.reject(godwitError('GODWIT_DESCRIPTION_REFUSED', facts));
  const again = () =>
    assert.rejects(refusals.watch(refuse), { code: 'GODWIT_DESCRIPTION_REFUSED' });
  for (let time = 0; time < 100; time += 1) await again();
  assert.deepEqual(
    lines.map((line) => ({ ...line, message: '' })),
    [{ peer: 'c', refused: 1, message: '' }],
  );
  now = 60_000;
  await again();
  assert.deepEqual(
    lines.map((line) => (line as { refused: number }).refused),
    [1, 101],
  );
});

test('what is no refusal of the peer’s words is not counted, and what is done is answered', async () => {
  const lines: object[] = [];
  const log = { ...silentLog, warn: (facts: object): void => void lines.push(facts) };
  const refusals = new Refusals(systemClock, log, 'c');
  assert.equal(await refusals.watch(() => Promise.resolve(7)), 7);
  await assert.rejects(
    refusals.watch(() => Promise.reject(new Error('full'))),
    { message: 'full' },
  );
  assert.deepEqual(lines, []);
});

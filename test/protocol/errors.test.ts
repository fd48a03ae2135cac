import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { GodwitError, godwitError } from '../../src/errors.ts';
import { destinationEvent } from '../../src/migration/direct/destination/destination-events.ts';
import { errorBody, fromSerial, serialError, whatIsWrong } from '../../src/protocol/errors.ts';

const held = godwitError('GODWIT_HELD', { guest: 'web1', reason: 'nobody answers' });

describe('an error on the wire', () => {
  test('an error on the wire is thrown unchanged on the other side', () => {
    const body = errorBody.parse(JSON.parse(JSON.stringify({ error: held })));
    const thrown = fromSerial(body.error);
    assert.ok(thrown instanceof GodwitError);
    assert.deepEqual(thrown.toJSON(), held.toJSON());
    assert.equal(thrown.exit, held.exit);
  });

  test('an error with a code of a newer build keeps its text, and names the code', () => {
    const newer = { ...held.toJSON(), code: 'GODWIT_OF_TOMORROW' };
    const facts = { code: 'GODWIT_OF_TOMORROW' };
    assert.deepEqual(serialError.parse(newer), { ...newer, code: 'GODWIT_ERROR_NEWER', facts });
    // So the journal of a migration that failed with it is still read after a downgrade.
    assert.equal(destinationEvent.safeParse({ type: 'failed', error: newer }).success, true);
  });

  test('an error on the wire has a code in the common format', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.integer(), fc.constant(null)), (code) => {
        const parsed = serialError.safeParse({ ...held.toJSON(), code });
        assert.equal(parsed.success, /^GODWIT_[A-Z0-9_]{1,56}$/.test(String(code)));
      }),
    );
  });

  test('an error on the wire is bounded in every part', () => {
    const long = 'x'.repeat(10_000);
    const serial = held.toJSON();
    assert.equal(serialError.safeParse(serial).success, true);
    for (const bad of [
      { ...serial, message: long },
      { ...serial, hint: long },
      { ...serial, facts: { reason: long } },
      { ...serial, facts: { [long]: 1 } },
      { ...serial, facts: { reason: { nested: true } } },
    ]) {
      assert.equal(serialError.safeParse(bad).success, false);
    }
  });

  test('an error on the wire has no more facts than an error of the table', () => {
    const facts = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`f${at}`, at]));
    assert.equal(serialError.safeParse({ ...held.toJSON(), facts }).success, false);
  });
});

describe('validation errors', () => {
  const schema = z.object({ guest: z.object({ name: z.string() }), to: z.string() });

  test('a validation error names an unknown field, and the nearest one of the schema', () => {
    const schema = z.strictObject({ log: z.strictObject({ level: z.string().optional() }) });
    const { error } = schema.safeParse({ log: { levl: 'info' }, zzzzz: 1 });
    assert.ok(error !== undefined);
    assert.equal(
      whatIsWrong(error, schema),
      'log: unknown field "levl"; did you mean level?; unknown field "zzzzz"',
    );
    assert.equal(whatIsWrong(error), 'log: unknown field "levl"; unknown field "zzzzz"');
  });

  test('a validation error is reported with its place, on one line', () => {
    const parsed = schema.safeParse({ guest: { name: 1 }, to: 'b' });
    assert.ok(!parsed.success);
    assert.match(whatIsWrong(parsed.error), /^guest\.name: .*string/);
  });

  test('a validation error is bounded, however many faults there are', () => {
    const list = z.array(z.string()).safeParse(Array(10_000).fill(1));
    assert.ok(!list.success);
    assert.match(whatIsWrong(list.error), /; and 9995 more$/);
    assert.ok(whatIsWrong(list.error).length <= 2000);
  });

  test('a validation error has no place if the whole value is wrong', () => {
    const parsed = schema.safeParse('nothing');
    assert.ok(!parsed.success);
    assert.doesNotMatch(whatIsWrong(parsed.error), /^: /);
  });
});

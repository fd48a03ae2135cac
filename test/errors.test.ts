import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  ERRORS,
  GodwitError,
  godwitError,
  hasCode,
  toGodwitError,
  type ErrorCode,
  type ErrorFacts,
} from '../src/errors.ts';
import { serialError } from '../src/protocol/errors.ts';

const codes = Object.keys(ERRORS) as ErrorCode[];

function placesOf(text: string): string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);
}

/** An error of that code with every place filled. */
function errorOf(code: ErrorCode, value: string | number = 'this'): GodwitError {
  const facts = Object.fromEntries(placesOf(ERRORS[code].message).map((name) => [name, value]));
  return godwitError(code, facts as ErrorFacts<typeof code>);
}

describe('the error table', () => {
  test('the error table names every code alike, and has a text for each', () => {
    for (const code of codes) {
      const { message, hint } = ERRORS[code];
      assert.match(code, /^GODWIT_[A-Z_]+$/);
      assert.ok(message.length > 0 && hint.length > 0, code);
      assert.match(hint, /[.!?)`]$/, `${code}: a hint is a sentence`);
    }
  });

  test('the error table fills every placeholder of its messages and hints', () => {
    for (const code of codes) {
      const { message, hint } = errorOf(code);
      assert.doesNotMatch(`${message} ${hint}`, /[{}]/, code);
    }
  });

  test('the texts of the error table have one apostrophe, and format bytes and milliseconds', () => {
    for (const code of codes) {
      const { message, hint } = ERRORS[code];
      assert.doesNotMatch(`${message} ${hint}`, /[’‘]|(?:Bytes|Ms)\} (?:bytes|ms)\b/, code);
    }
  });

  test('the hints of the error table use no fact that the message lacks', () => {
    for (const code of codes) {
      const { message, hint } = ERRORS[code];
      const known = placesOf(message);
      for (const place of placesOf(hint)) assert.ok(known.includes(place), `${code}: ${place}`);
    }
  });

  test('the error table has the documented exit codes', () => {
    const documented = [2, 3, 4, 5, 6, 7, 8, 9, 70];
    for (const code of codes) assert.ok(documented.includes(ERRORS[code].exit), code);
    const used = new Set(codes.map((code) => ERRORS[code].exit));
    assert.deepEqual(
      documented.filter((exit) => !used.has(exit as never)),
      [],
    );
  });

  test('the error table has HTTP error statuses', () => {
    for (const code of codes) {
      const { http } = ERRORS[code];
      assert.ok(http >= 400 && http <= 599, code);
    }
  });

  test('the error table never makes a final refusal retryable', () => {
    for (const code of codes) {
      if (ERRORS[code].exit === 2 || ERRORS[code].exit === 70) {
        assert.equal(ERRORS[code].retryable, false, code);
      }
    }
  });
});

describe('an error', () => {
  test('an error of any code crosses a wire unchanged', () => {
    for (const code of codes) {
      const error = errorOf(code);
      const crossed = serialError.parse(JSON.parse(JSON.stringify(error)));
      assert.deepEqual(new GodwitError(crossed).toJSON(), error.toJSON());
      assert.equal(error.exit, ERRORS[code].exit);
      assert.equal(error.http, ERRORS[code].http);
    }
  });

  test('an error shows sizes and durations for people, and keeps the numbers as facts', () => {
    const [availableBytes, neededBytes] = [8.2 * 1024 ** 3, 16 * 1024 ** 3];
    const short = { host: 'b', guest: 'web1', availableBytes, neededBytes };
    const memory = godwitError('GODWIT_MEMORY_SHORT', short);
    assert.equal(memory.message, 'web1 needs 16 GiB of memory; b has 8.2 GiB free');
    assert.deepEqual(memory.facts, short);
    const late = godwitError('GODWIT_DEADLINE', { what: 'it', deadlineMs: 65_000 });
    assert.equal(late.message, 'it took longer than 1 min 05 s');
    const unknown = godwitError('GODWIT_DEADLINE', { what: 'it', deadlineMs: Number.NaN });
    assert.equal(unknown.message, 'it took longer than NaN');
  });

  test('an error made from anything can be written to a journal and read again', () => {
    const value = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.double(),
      fc.constantFrom('x'.repeat(100_000), Number.NaN, Number.POSITIVE_INFINITY, '{what}'),
    );
    fc.assert(
      fc.property(fc.constantFrom(...codes), value, (code, fact) => {
        const error = errorOf(code, fact);
        const serial = JSON.parse(JSON.stringify(error)) as unknown;
        assert.equal(serialError.safeParse(serial).success, true);
      }),
    );
  });

  test('an error keeps its cause, and accepts a separate hint', () => {
    const cause = new Error('below');
    const error = godwitError('GODWIT_USAGE', { what: 'so' }, { cause, hint: 'Do {what}.' });
    assert.equal(error.cause, cause);
    assert.equal(error.hint, 'Do so.');
    assert.equal('cause' in godwitError('GODWIT_USAGE', { what: 'so' }), false);
  });

  test('an error from outside the table is a defect, with its cause kept', () => {
    fc.assert(
      fc.property(fc.anything(), (thrown) => {
        const error = toGodwitError(thrown);
        assert.equal(error.code, 'GODWIT_INTERNAL');
        assert.equal(error.cause, thrown);
      }),
    );
    const own = errorOf('GODWIT_HELD');
    assert.equal(toGodwitError(own), own);
  });

  test('an error is recognized by its code', () => {
    const error: unknown = errorOf('GODWIT_HELD');
    assert.ok(hasCode(error, 'GODWIT_LOST', 'GODWIT_HELD'));
    assert.equal(hasCode(error, 'GODWIT_LOST'), false);
    assert.equal(hasCode(new Error('GODWIT_HELD'), 'GODWIT_HELD'), false);
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readRange } from '../../../../src/planner/sim/history/prometheus.ts';
import { TableError } from '../../../../src/planner/sim/history/history.ts';
import { placeOfSetting } from '../../../../src/config/settings.ts';
import { FILES, historyOf, rangeOf } from './histories.ts';

const { 'hosts.csv': hosts, 'guests.csv': guests } = FILES;
const loadsOf = (json: string) =>
  new Map(
    historyOf({ 'hosts.csv': hosts, 'guests.csv': guests, 'load.json': json }).guests.map(
      ({ name, load }) => [name, [...load]],
    ),
  );

const SERIES: [Record<string, string>, unknown[]][] = [
  [
    { guest: 'g1', name: 'other' },
    [
      [1000, '1'],
      [1300.5, '2.5'],
      [1600, '9'],
    ],
  ],
  [
    { domain: 'g2' },
    [
      [1000, '0.5'],
      [1300, 'NaN'],
      [1600, '1e0'],
    ],
  ],
  [{ name: 'g3' }, [[1000, '0']]],
  [{ guest: 'g4' }, [[1000, '1']]],
];

test("a Prometheus range query gives the guests' use; an invalid value is not a sample", () => {
  const loads = loadsOf(rangeOf(SERIES));
  assert.deepEqual(loads.get('g1'), [1, 1, 4]);
  assert.deepEqual(loads.get('g2'), [0.5, 0.5, 1]);
  assert.deepEqual(loads.get('g3'), [0, 0, 0]);
});

test('an error in a query is reported with file, line, column, place and the expected value', () => {
  const wrong = (json: string, message: RegExp): void => {
    assert.throws(
      () => loadsOf(json),
      (error) => {
        assert.ok(error instanceof TableError);
        assert.match(error.message, message);
        return true;
      },
    );
  };
  const one = (metric: Record<string, string>, values: unknown[] = []): string =>
    rangeOf([[metric, values]]);
  wrong('nothing', /^load\.json: expected JSON, the answer of a range query: /);
  wrong('[]', /^load\.json: line 1, column 1: expected object, got \[\]$/);
  wrong(
    '{"status":"error",\n"errorType":"bad_data",\n"error":"parse error: unexpected end of input"}',
    /^load\.json: line 1, column 11: status: expected "success", got "error": "parse error: unexpected end of input"$/,
  );
  wrong(
    '{"status":"success",\n"data":{"resultType":"vector","result":[]}}',
    /^load\.json: line 2, column 22: data\.resultType: expected "matrix", which only a range query \(query_range\) answers with, got "vector"$/,
  );
  wrong(
    one({ pod: 'g1' }),
    /data\.result\.0\.metric: expected a label guest, domain, name, got {"pod":"g1"}$/,
  );
  wrong(
    one({ guest: 'g9' }),
    /data\.result\.0\.metric\.guest: expected a guest of guests\.csv, got "g9"$/,
  );
  wrong(
    rangeOf([
      [{ guest: 'g1', cpu: '0' }, []],
      [{ guest: 'g1', cpu: '1' }, []],
    ]),
    /data\.result\.1\.metric\.guest: expected one series a guest, got another one of g1$/,
  );
  wrong(
    one({ guest: 'g1' }, [
      [1, '1'],
      [2, '-1'],
    ]),
    /^load\.json: line 1, column \d+: data\.result\.0\.values\.1\.1: expected a number, 0 or more, got "-1"$/,
  );
  wrong(
    one({ guest: 'g1' }, [[1, '40']]),
    /data\.result\.0\.values\.0\.1: expected at most 9 of a guest with 4 cores, got "40"$/,
  );
  wrong(one({ guest: 'g1' }, [[1, '+Inf']]), /expected a number, 0 or more, got "\+Inf"$/);
  wrong(one({ guest: 'g1' }, [[1, 2]]), /data\.result\.0\.values\.0\.1: expected string, got 2$/);
  wrong(one({ guest: 'g1' }, [[1, 'NaN']]), /^load\.json: has no sample$/);
  wrong(
    one({ guest: 'g1' }, [[1, '1']]),
    /^load\.json: has no sample of g2, a guest of guests\.csv$/,
  );
});

test('any text gives samples of known guests or a TableError, and nothing else', () => {
  const value = fc.oneof(fc.string({ maxLength: 6 }), fc.double().map(String), fc.double());
  const series = fc.tuple(
    fc.dictionary(fc.constantFrom('guest', 'domain', 'pod'), fc.constantFrom('g1', 'g2', 'x')),
    fc.array(fc.oneof(fc.tuple(fc.double(), value), value), { maxLength: 4 }),
  );
  const texts = fc.oneof(fc.string(), fc.json(), fc.array(series, { maxLength: 3 }).map(rangeOf));
  fc.assert(
    fc.property(texts, (text) => {
      try {
        readRange(text, 'load.json', {
          coresOf: (name) => (name.startsWith('g') ? 4 : undefined),
          where: placeOfSetting,
          sample: (guest, time, cores) => {
            assert.match(guest, /^g/);
            assert.ok(Number.isFinite(time) && cores >= 0 && cores <= 9);
          },
        });
      } catch (error) {
        assert.ok(error instanceof TableError, String(error));
      }
    }),
  );
});

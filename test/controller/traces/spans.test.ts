import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { migrations, reportOf } from '../../../bench/dashboard/migrations.ts';
import { attributesOf, nanosOf, requestOf, STATUS } from '../../../src/controller/traces/otlp.ts';
import { spansOf, traceIdOf } from '../../../src/controller/traces/spans.ts';
import type { FleetMigration } from '../../../src/protocol/controller/history.ts';
import {
  END_PHASES,
  report as reportShape,
  type Report,
} from '../../../src/protocol/public/migration.ts';

const ended = migrations().filter(({ state }) => state === 'ended');
const known = (more: Partial<FleetMigration> = {}): FleetMigration => {
  const [first] = ended;
  assert.ok(first !== undefined);
  return { ...first, ...more };
};
const reported = (migration: FleetMigration): Report => reportShape.parse(reportOf(migration, 5));

test('the root has a span for each phase below it, one behind the other from its beginning on', () => {
  const migration = known();
  const report = reported(migration);
  const [whole, ...phases] = spansOf(migration, report);
  assert.ok(whole !== undefined && report.phases.length > 2);
  assert.equal(whole.name, `migrate ${migration.guest}`);
  assert.equal(whole.parentSpanId, undefined);
  assert.deepEqual(
    phases.map(({ name }) => name),
    report.phases.map(({ phase }) => phase),
  );
  let at = whole.startTimeUnixNano;
  for (const [index, each] of phases.entries()) {
    assert.equal(each.parentSpanId, whole.spanId);
    assert.equal(each.startTimeUnixNano, at);
    const ms = report.phases[index]?.ms ?? 0;
    assert.equal(BigInt(each.endTimeUnixNano) - BigInt(at), BigInt(Math.round(ms * 1000)) * 1000n);
    at = each.endTimeUnixNano;
  }
});

test('rounds and decisions are events of the root, in their order', () => {
  const migration = known();
  const report = reported(migration);
  const [whole] = spansOf(migration, report);
  const { events = [] } = whole ?? {};
  assert.equal(events.length, report.roundList.length + report.decisions.length);
  const times = events.map(({ timeUnixNano }) => BigInt(timeUnixNano));
  assert.deepEqual(
    times,
    times.toSorted((one, other) => Number(one - other)),
  );
  for (const { what } of report.decisions) assert.ok(events.some(({ name }) => name === what));
});

test('ids follow from the migration alone, have the required length, and are unique', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^m-[0-9a-z]{8,12}$/), (id) => {
      const migration = known({ id });
      const spans = spansOf(migration, { ...reported(migration), id });
      assert.deepEqual(spans, spansOf(migration, { ...reported(migration), id }));
      for (const { traceId, spanId } of spans) {
        assert.equal(traceId, traceIdOf(id));
        assert.match(traceId, /^[0-9a-f]{32}$/);
        assert.match(spanId, /^[0-9a-f]{16}$/);
      }
      assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, spans.length);
    }),
  );
});

test('a failure is an error only of the root and its last phase; a cancelled migration has none', () => {
  for (const outcome of END_PHASES) {
    const migration = known({ outcome, code: 'GODWIT_UNREACHABLE', words: 'b does not answer' });
    const [whole, ...phases] = spansOf(migration, reported(migration));
    const isError = ['failed', 'lost', 'held'].includes(outcome);
    assert.equal(whole?.status.code === STATUS.error, isError, outcome);
    assert.equal(whole?.status.message, isError ? 'b does not answer' : undefined);
    const failed = phases.filter(({ status }) => status.code === STATUS.error);
    assert.deepEqual(failed, isError ? phases.slice(-1) : []);
  }
});

test('the root is the only span without a report', () => {
  const migration = known();
  const spans = spansOf(migration, undefined);
  assert.equal(spans.length, 1);
  assert.equal(spans[0]?.startTimeUnixNano, nanosOf(Date.parse(migration.startedAt)));
});

test('values are of the types that OTLP has, and a time keeps all of its digits', () => {
  assert.deepEqual(attributesOf({ a: 'b', c: 3, d: 0.5, e: true, f: undefined, g: 2 ** 53 }), [
    { key: 'a', value: { stringValue: 'b' } },
    { key: 'c', value: { intValue: '3' } },
    { key: 'd', value: { doubleValue: 0.5 } },
    { key: 'e', value: { boolValue: true } },
    { key: 'g', value: { doubleValue: 2 ** 53 } },
  ]);
  assert.equal(nanosOf(1_795_000_000_123.4), '1795000000123400000');
  const body = requestOf({ 'service.name': 'x' }, { name: 'godwit', version: '1' }, []);
  assert.deepEqual(body, {
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'x' } }] },
        scopeSpans: [{ scope: { name: 'godwit', version: '1' }, spans: [] }],
      },
    ],
  });
});

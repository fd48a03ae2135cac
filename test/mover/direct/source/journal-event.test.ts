import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { silentLog } from '../../../../src/log.ts';
import {
  sourceEvent,
  type SourceEvent,
} from '../../../../src/migration/direct/source/source-state.ts';
import { STEP_NAMES } from '../../../../src/migration/direct/source/steps.ts';
import { fitEvent } from '../../../../src/mover/direct/source/coordinator.ts';
import { errorOf, sampleOf } from '../../../migration/direct/samples.ts';

const step = fc.constantFrom(...STEP_NAMES);

describe('an event for the journal', () => {
  test('an event is written unchanged if the journal can hold it', () => {
    const events: SourceEvent[] = [
      { type: 'cancel' },
      { type: 'did', step: 'inspect', facts: { ports: ['tap0'] } },
      { type: 'failed', step: 'memory', error: errorOf() },
      { type: 'measured', sample: sampleOf(), final: false },
    ];
    for (const event of events) assert.deepEqual(fitEvent(event, silentLog), event);
  });

  test("an event with a driver's oversized answer fails its step, whatever the answer", () => {
    fc.assert(
      fc.property(step, fc.string(), fc.nat({ max: 200_000 }), (of, key, length) => {
        const text = 'é'.repeat(length);
        const bad = {
          ports: [text, 7],
          moverAddress: { [key]: text },
          networks: [{ [key]: text }],
        };
        const event = { type: 'did', step: of, facts: bad } as unknown as SourceEvent;
        const fit = fitEvent(event, silentLog);
        assert.ok(fit?.type === 'failed' && fit.step === of);
        assert.equal(fit.error.code, 'GODWIT_INTERNAL');
        // What is written must be read again, or the journal ends before it.
        assert.deepEqual(sourceEvent.parse(JSON.parse(JSON.stringify(fit))), fit);
      }),
    );
  });

  test('any other oversized event is omitted', () => {
    const sample = { ...sampleOf(), rate: Number.NaN };
    const events: unknown[] = [
      { type: 'measured', sample, final: false },
      { type: 'decided', what: 'dance', why: 'so' },
      { type: 'unheard-of' },
    ];
    for (const event of events) assert.equal(fitEvent(event as SourceEvent, silentLog), undefined);
  });
});

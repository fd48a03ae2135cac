import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dataFate } from '../../../src/migration/direct/destination/destination-rows.ts';
import {
  destinationAfter,
  initialDestination,
  type DestinationEvent,
} from '../../../src/migration/direct/destination/destination.ts';
import { neverRanThere } from '../../../src/migration/direct/source/resolve.ts';
import { admissionOf } from '../../protocol/peer/admission.ts';

const epoch = 5;
const ADMITTED = { type: 'admitted', admission: admissionOf({ epoch }), host: 'b' } as const;
const ARMED = { type: 'armed', epoch, bootId: 'boot-1' } as const;
const COMMITTED = { type: 'committed', epoch } as const;
const RAN = { type: 'running', epoch, resumeMs: 1 } as const;
const REBOOTED = { type: 'taken-over', pid: 1, neverRan: false } as const;
const why = 'a reason';

const CASES: Readonly<Record<string, readonly [ReturnType<typeof dataFate>, DestinationEvent[]]>> =
  {
    'a guest that was only armed': ['remove', [ARMED]],
    'a guest that was refused': ['remove', [ARMED, { type: 'refused', epoch, why }]],
    'a guest that was committed': ['keep', [ARMED, COMMITTED]],
    'a guest that ran': ['keep', [ARMED, COMMITTED, RAN]],
    'a guest that ran before its host rebooted': ['keep', [ARMED, COMMITTED, RAN, REBOOTED]],
    'a guest whose hypervisor ended before it ran it': [
      'remove',
      [ARMED, COMMITTED, { type: 'never-ran', epoch, why }],
    ],
    'a guest that its source took back by a proof': [
      'set-aside',
      [ARMED, COMMITTED, { type: 'overruled', epoch, why }],
    ],
    'a guest of a host that rebooted while armed': ['set-aside', [ARMED, REBOOTED]],
    'such a guest that its source released without a word on a commit': [
      'set-aside',
      [ARMED, REBOOTED, { type: 'refused', epoch, why }],
    ],
    'such a guest whose source sent no commit': [
      'remove',
      [ARMED, REBOOTED, { type: 'refused', epoch, why, neverRan: true }],
    ],
    'a guest whose journal was restored from before it was armed': ['set-aside', [REBOOTED]],
    'such a guest of which its source heard that it ran': ['keep', [ARMED, REBOOTED, RAN]],
  };

for (const [name, [fate, events]] of Object.entries(CASES)) {
  test(`the data of ${name}: ${fate}`, () => {
    const state = [ADMITTED, ...events].reduce(destinationAfter, initialDestination(ADMITTED));
    assert.equal(dataFate(state), fate);
  });
}

test('a guest never ran elsewhere unless its source sent a commit that was not refused', () => {
  for (const right of ['held', 'armed', 'abandoned'] as const) {
    assert.ok(neverRanThere({ right }));
    assert.ok(!neverRanThere({ right, mayHaveRunThere: true }));
  }
  for (const right of ['committing', 'passed'] as const) assert.ok(!neverRanThere({ right }));
});

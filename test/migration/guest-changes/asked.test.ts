import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { changedSinceAsked } from '../../../src/migration/guest-changes/asked.ts';

const MACS = ['52:54:00:00:00:01', '52:54:00:00:00:02'];

describe('a guest between the request and its description', () => {
  test('a guest that stayed as it was has not changed, whatever the order and the case of its addresses', () => {
    const now = { vcpus: 2, macs: MACS.toReversed().map((mac) => mac.toUpperCase()) };
    assert.equal(changedSinceAsked({ vcpus: 2, macs: MACS }, now), undefined);
  });

  test('a host list without these figures shows no change', () => {
    assert.equal(changedSinceAsked({}, { vcpus: 2, macs: MACS }), undefined);
    assert.equal(changedSinceAsked({ vcpus: 2, macs: MACS }, {}), undefined);
  });

  test('a plugged processor and plugged or unplugged NICs are named', () => {
    const [first = '', second = ''] = MACS;
    assert.equal(
      changedSinceAsked({ vcpus: 1 }, { vcpus: 2 }),
      'the number of its processors changed from 1 to 2',
    );
    assert.equal(
      changedSinceAsked({ macs: [first] }, { macs: MACS }),
      `a NIC was plugged in (${second})`,
    );
    assert.equal(
      changedSinceAsked({ macs: MACS }, { macs: [first] }),
      `a NIC was unplugged (${second})`,
    );
  });
});

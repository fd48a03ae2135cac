import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  destinationAfter,
  destinationEvent,
  type DestinationEvent,
} from '../../../../src/migration/direct/destination/destination.ts';
import { admissionOf, planned, preparationOf } from '../samples.ts';
import { WorldDestination } from '../world-destination.ts';

const base = {
  node: 'base0',
  pool: 'f'.repeat(16),
  path: 'images/base.qcow2',
  bytes: 1024,
  sha256: 'ab'.repeat(32),
  made: true,
};
const preparation = preparationOf(planned());

describe("backing files in a destination's records", () => {
  test("records of backing files name places below the destination's storage and their contents", () => {
    const event: DestinationEvent = {
      type: 'seeding',
      bases: [base],
      directories: ['/srv/images'],
    };
    assert.deepEqual(destinationEvent.parse(event), event);
    for (const wrong of [{ path: '../x' }, { path: '/etc/shadow' }, { sha256: '' }, { made: 1 }]) {
      const bad: object = { ...event, bases: [{ ...base, ...wrong }] };
      assert.equal(destinationEvent.safeParse(bad).success, false, JSON.stringify(wrong));
    }
  });

  test('records of backing files and of directories made for them are kept while the guest is built', () => {
    const { state } = new WorldDestination(admissionOf(planned()), preparation);
    const events: DestinationEvent[] = [
      { type: 'seeding', bases: [base], directories: ['/srv/images'] },
      { type: 'seeding', bases: [base] },
      { type: 'preparing', preparation, ports: {}, directories: ['/srv/images', '/srv/web1'] },
    ];
    const after = events.reduce(destinationAfter, state);
    assert.deepEqual(after.bases, [base]);
    assert.deepEqual(after.directories, ['/srv/images', '/srv/web1']);
  });

  test('records of backing files are accepted only before the guest is built', () => {
    const destination = new WorldDestination(admissionOf(planned()), preparation);
    destination.call('seed');
    destination.call('seed');
    destination.call('prepare');
    assert.throws(() => destination.call('seed'), { code: 'GODWIT_NOT_ARMED' });
  });
});

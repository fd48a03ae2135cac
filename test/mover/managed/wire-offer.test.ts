import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { godwitError } from '../../../src/errors.ts';
import { checkWire, type WireAsked } from '../../../src/mover/managed/wire-offer.ts';
import type { ReceiverOffer } from '../../../src/protocol/peer/receiver.ts';
import { WIRE_VERSION } from '../../../src/protocol/wire.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const PLACE = '/run/manager';
const offer = (more: Partial<ReceiverOffer> = {}): ReceiverOffer => ({
  wire: { version: WIRE_VERSION, cores: 1, knowsGuest: false },
  place: PLACE,
  ...more,
});

test('a guest uses the wire if the other agent opens a receiver at the same place', async (t) => {
  const directory = tempDir(t);
  const { signal } = new AbortController();
  const driver = { name: 'fake', memorySockets: { place: PLACE, directory } };
  const said = async (asked: Partial<WireAsked>, answer = offer()): Promise<string> => {
    const ask: WireAsked['ask'] = async (query) => {
      assert.deepEqual(query, { guest: 'web1', from: 'a', driver: 'fake' });
      return answer;
    };
    const all = { driver, guest: 'web1', from: 'a', to: 'b', disks: false, ask, ...asked };
    const { name, verdict, evidence } = await checkWire(all, signal);
    return `${name} ${verdict}: ${evidence}`;
  };
  assert.match(await said({}), /^path pass: b opens a receiver/);
  assert.match(
    await said({ driver: { name: 'fake' } }),
    /refuse: .*a sends memory by a path of its own/,
  );
  const none = { place: PLACE, directory: path.join(directory, 'none') };
  const missing = { name: 'fake', memorySockets: none };
  assert.match(await said({ driver: missing }), /refuse: .*at a, .*cannot be used for sockets/);
  const unknown = godwitError('GODWIT_ROUTE_UNKNOWN', { method: 'GET', path: '/x' });
  const old = async (): Promise<never> => Promise.reject(unknown);
  assert.match(await said({ ask: old }), /refuse: .*b is of a build that opens no receiver/);
  const { place: _, ...closed } = offer();
  assert.match(await said({}, { ...closed, why: 'no driver' }), /b opens no receiver: no driver/);
  const other = { version: WIRE_VERSION + 1, cores: 1, knowsGuest: false };
  assert.match(await said({}, offer({ wire: other })), /b has version \d+ of the wire/);
  assert.match(await said({}, offer({ place: '/x' })), /in \/run\/manager at a and in \/x at b/);
  assert.match(await said({ disks: true }), /b is of a build that takes memory alone/);
  assert.match(await said({ disks: true }, offer({ disks: true })), /^path pass/);
  const away = { peer: 'b', address: 'b:1', reason: 'silent' };
  const dark = async (): Promise<never> => Promise.reject(godwitError('GODWIT_UNREACHABLE', away));
  assert.match(await said({ ask: dark }), /refuse: .*silent/);
});

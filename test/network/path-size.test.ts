import assert from 'node:assert/strict';
import { test } from 'node:test';
import { losesFullPackets, padded } from '../../src/network/path-size.ts';
import { checksum, ECHO_BYTES, echoRequest } from '../../src/network/probe/echo.ts';

const never = new AbortController().signal;
const path = (small: boolean | undefined, full: boolean | undefined) =>
  losesFullPackets('10.0.0.2', never, (_address, bytes) =>
    Promise.resolve(bytes === ECHO_BYTES ? small : full),
  );

test('a path loses full packets if small ones return and full ones do not, and nothing else shows it', async () => {
  assert.equal(await path(true, false), true);
  assert.equal(await path(true, true), false);
  assert.equal(await path(false, false), false);
  assert.equal(await path(undefined, false), false);
  assert.equal(await path(true, undefined), false);
  const asked = (): never => assert.fail('a name is no address');
  assert.equal(await losesFullPackets('relay.example', never, asked), false);
});

test('a path from this machine to itself carries packets of either size', async () => {
  assert.equal(await losesFullPackets('127.0.0.1', AbortSignal.timeout(10_000)), false);
});

test('an echo that was made longer is complete', () => {
  const packet = padded('10.0.0.2', echoRequest('10.0.0.2', Buffer.alloc(8, 7), 1), 1472);
  assert.equal(packet.length, 1472);
  assert.equal(checksum(packet), 0);
});

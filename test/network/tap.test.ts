import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../src/errors.ts';
import { bridgeOf, createTap, portMac, removeTap, tapName } from '../../src/network/tap.ts';

const signal = new AbortController().signal;

describe('the name of a tap', () => {
  test('the name of a tap fits the kernel, and is the same for the same migration and NIC', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^m-[0-9a-z]{8,32}$/), fc.nat(63), (id, index) => {
        const name = tapName(id, index);
        assert.match(name, /^[a-z0-9]{1,15}$/);
        assert.equal(name, tapName(id, index));
        assert.notEqual(name, tapName(id, index + 1));
      }),
    );
  });
});

test('the MAC of a port is local, and higher than any that a bridge could have from its uplink', () => {
  fc.assert(
    fc.property(fc.string(), (name) => {
      assert.match(portMac(name), /^fe(:[0-9a-f]{2}){5}$/);
    }),
  );
});

describe('a tap', () => {
  test('a tap whose name could be read as an option is refused before anything runs', async () => {
    await assert.rejects(createTap({ name: '-x', bridge: 'br0' }, signal), (error) =>
      hasCode(error, 'GODWIT_USAGE'),
    );
    await assert.rejects(bridgeOf('a/b', signal), (error) => hasCode(error, 'GODWIT_USAGE'));
  });

  test('a missing tap is removed without an error', async () => {
    await removeTap(tapName('m-neverwasthere', 0), signal);
  });

  test('a tap is not created if its bridge is missing', async () => {
    const name = tapName('m-nobridgehere0', 0);
    await assert.rejects(createTap({ name, bridge: 'gw-none' }, signal), (error) =>
      hasCode(error, 'GODWIT_HOST_LACKS', 'GODWIT_PRIVILEGE'),
    );
    assert.equal(await bridgeOf(name, signal), undefined);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { addressOf, SOCKETS } from '../../../../src/drivers/libvirt/rpc/address.ts';

describe('a URI of libvirt', () => {
  test('a URI names a socket, or a host and a port', () => {
    assert.deepEqual(addressOf('qemu:///system'), {
      kind: 'unix',
      paths: SOCKETS,
      name: 'qemu:///system',
    });
    assert.deepEqual(addressOf('qemu+unix:///system?socket=/x/y'), {
      kind: 'unix',
      paths: ['/x/y'],
      name: 'qemu:///system',
    });
    assert.deepEqual(addressOf('qemu+tls://b.example/system'), {
      kind: 'tls',
      host: 'b.example',
      port: 16_514,
      name: 'qemu:///system',
    });
    assert.deepEqual(addressOf('qemu://b/system'), addressOf('qemu+tls://b:16514/system'));
    assert.deepEqual(addressOf('qemu+tcp://[fd00::1]:99/system'), {
      kind: 'tcp',
      host: 'fd00::1',
      port: 99,
      name: 'qemu:///system',
    });
  });

  test('a URI with another transport, or none, is a configuration error', () => {
    const wrong = [
      'qemu+ssh://b/system',
      'qemu+tls:///system',
      'b',
      '',
      'qemu+tcp://:1/x',
      'qemu+x',
    ];
    for (const uri of wrong) assert.throws(() => addressOf(uri), { code: 'GODWIT_CONFIG' }, uri);
  });
});

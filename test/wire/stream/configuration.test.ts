import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { subsection, type StreamConfiguration } from '../../../src/wire/stream/configuration.ts';
import * as writer from './writer.ts';

function read(bytes: Buffer): { used: number; configured: StreamConfiguration } {
  const configured: StreamConfiguration = {};
  for (let end = 1; end < bytes.length; end += 1) {
    const needed = -subsection(bytes, 0, end, {});
    assert.ok(needed === 0 || needed > end, 'asks for less than it has');
  }
  return { used: subsection(bytes, 0, bytes.length, configured), configured };
}

describe('a part of the configuration', () => {
  test('the configuration contains the page size', () => {
    const bytes = writer.subsection('configuration/target-page-bits', Buffer.from([0, 0, 0, 16]));
    assert.deepEqual(read(bytes), { used: bytes.length, configured: { pageBytes: 65_536 } });
  });

  test('the configuration contains the capabilities that change the stream', () => {
    const bytes = writer.capabilities(['x-ignore-shared', 'mapped-ram']);
    const configured = { ignoreShared: true, mappedRam: true };
    assert.deepEqual(read(bytes), { used: bytes.length, configured });
  });

  test("the configuration contains the guest's identity", () => {
    const bytes = writer.subsection('configuration/uuid', Buffer.alloc(16, 1));
    assert.deepEqual(read(bytes), { used: bytes.length, configured: {} });
  });

  test('an unknown or absurd part of the configuration is refused', () => {
    for (const bytes of [
      writer.subsection('configuration/new', Buffer.alloc(4)),
      writer.subsection('configuration/target-page-bits', Buffer.from([0, 0, 0, 40])),
      writer.subsection('configuration/capabilities', Buffer.from([0xff, 0, 0, 0])),
      Buffer.from([7]),
    ]) {
      assert.equal(read(bytes).used, 0);
    }
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encryptionCheck } from '../../../src/drivers/vsphere/encryption.ts';

const facts = fc.record({
  guest: fc.constant('web'),
  to: fc.constant('esx2'),
  isAsked: fc.boolean(),
  encryption: fc.constantFrom('', 'disabled', 'opportunistic', 'required', 'of a later version'),
  bothCan: fc.boolean(),
});

test('unencrypted memory is refused exactly if encryption was requested', () => {
  fc.assert(
    fc.property(facts, (given) => {
      const { isAsked, encryption, bothCan } = given;
      const isEncrypted = encryption === 'required' || (encryption === 'opportunistic' && bothCan);
      const found = encryptionCheck(given);
      assert.equal(found.verdict, isAsked && !isEncrypted ? 'refuse' : 'pass');
      if (!isEncrypted) assert.match(found.evidence, /not encrypted|unencrypted/);
      if (found.verdict === 'refuse') assert.match(found.error?.hint ?? '', /to Required/);
    }),
  );
});

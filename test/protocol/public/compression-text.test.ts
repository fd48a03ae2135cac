import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compressionText } from '../../../src/protocol/public/compression-text.ts';

test('the text of a compression has a level if one was requested', () => {
  assert.equal(compressionText({ compress: 'zstd' }), 'zstd');
  assert.equal(compressionText({ compress: 'zstd', compressLevel: 3 }), 'zstd 3');
});

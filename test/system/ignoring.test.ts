import assert from 'node:assert/strict';
import { test } from 'node:test';
import { absent, ignoring } from '../../src/system/ignoring.ts';

test('the given error codes are ignored, and any other error is thrown unchanged', async () => {
  const failure = (code: string): Error => Object.assign(new Error(code), { code });
  assert.equal(await Promise.reject(failure('EEXIST')).catch(ignoring('EEXIST')), undefined);
  assert.equal(await Promise.reject(failure('ENOTDIR')).catch(absent), undefined);
  const other = failure('EACCES');
  await assert.rejects(Promise.reject(other).catch(absent), (thrown) => thrown === other);
  await assert.rejects(Promise.reject(new Error('plain')).catch(absent), /plain/);
});

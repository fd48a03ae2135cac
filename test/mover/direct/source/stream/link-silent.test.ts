import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS, godwitError, type ErrorCode } from '../../../../../src/errors.ts';
import { initialSource } from '../../../../../src/migration/direct/source/source-state.ts';
import { linkSilent } from '../../../../../src/mover/direct/source/stream/link-silent.ts';
import { errorOf, planned } from '../../../../migration/direct/samples.ts';

const { state } = initialSource(planned());

test('a question that took too long is reported as a silent link, with a remedy', () => {
  const late = godwitError('GODWIT_DEADLINE', { what: 'the destination', deadlineMs: 5000 });
  const error = linkSilent(late.toJSON(), '10.0.0.2:7443', state, 45_000.4);
  assert.equal(error.code, 'GODWIT_UNREACHABLE');
  assert.match(error.message, /10\.0\.0\.2:7443.*nothing came over the link for 45\.0 s/);
  assert.match(error.hint ?? '', /link between a and b .* web1 runs on at a/);
});

test('every other error describes itself', () => {
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    if (code === 'GODWIT_DEADLINE') continue;
    const error = { ...errorOf(), code };
    assert.equal(linkSilent(error, '10.0.0.2:7443', state, 45_000), error);
  }
});

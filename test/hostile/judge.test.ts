import assert from 'node:assert/strict';
import { test } from 'node:test';
import { godwitError } from '../../src/errors.ts';
import { judgeAnswer } from '../../hostile/judge.ts';
import type { Answer, Ask } from '../../hostile/cases/case.ts';

const ask: Ask = {
  target: 'agent',
  route: 'watch',
  method: 'POST',
  path: '/v1/watches',
  headers: {},
  isForeign: true,
};
const answered = (body: object): Answer => ({
  status: 200,
  body: JSON.stringify(body),
  tookMs: 1,
});

test("a host may learn that another host's migration is not watched, and nothing else of it", () => {
  const why = 'c has not heard of its addresses yet';
  assert.equal(judgeAnswer(ask, answered({ watching: false, why })), undefined);
  for (const body of [{ watching: true }, { watching: true, wallMs: 1 }, {}])
    assert.match(judgeAnswer(ask, answered(body)) ?? '', /another host’s migration/);
  const other = { ...ask, route: 'incoming' };
  assert.match(judgeAnswer(other, answered({ watching: false, why })) ?? '', /another host’s/);
});

test('a refusal has the status of its error, and an end without an answer is not a refusal', () => {
  const facts = { peer: 'c', role: 'agent', action: 'it', needs: 'the role operator' };
  const refused = { error: godwitError('GODWIT_ROLE_FORBIDDEN', facts).toJSON() };
  const with403 = { ...answered(refused), status: 403 };
  assert.equal(judgeAnswer(ask, with403), undefined);
  assert.match(judgeAnswer(ask, { ...with403, status: 500 }) ?? '', /came with 500/);
  assert.match(judgeAnswer(ask, { ...with403, status: 0 }) ?? '', /without an answer/);
});

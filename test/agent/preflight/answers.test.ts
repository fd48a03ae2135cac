import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PreflightAnswers } from '../../../src/agent/preflight/answers.ts';
import { parseAgentConfig } from '../../../src/config.ts';

test('questions that were given up before they began take no room from later ones', async () => {
  const text = JSON.stringify({ name: 'b', address: '127.0.0.1:7001', stateDir: '/nowhere' });
  const answers = new PreflightAnswers({
    config: parseAgentConfig('agent.json', text),
    drivers: [],
    incoming: {} as never,
  });
  const admission = {
    id: 'c-0000000000000001',
    guest: 'web1',
    from: 'a',
    memoryBytes: 1,
    epoch: 1,
  };
  const question = { admission: { ...admission, timeoutMs: 1000 }, preparation: {} as never };
  const ask = (signal: AbortSignal): Promise<unknown> =>
    answers.assess(question, { role: 'agent', name: 'a' } as never, signal, undefined);
  for (let asked = 0; asked < 40; asked += 1) {
    await assert.rejects(ask(AbortSignal.abort()), { name: 'AbortError' });
  }
  await assert.rejects(ask(new AbortController().signal), { code: 'GODWIT_CAPABILITY' });
});

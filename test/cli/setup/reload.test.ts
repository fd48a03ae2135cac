import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ReloadAnswer } from '../../../src/protocol/public/reload.ts';
import { endpoint, FakeContext, godwit } from '../fake.ts';

const ANSWER: ReloadAnswer = {
  file: '/etc/godwit/agent.json',
  taken: ['limits.migrationsIn'],
  restart: ['address'],
  warnings: [{ what: 'storage.0.path: /srv is not there', hint: 'Mount it.' }],
};

function agent(name: string, answer: ReloadAnswer, asked: unknown[] = []) {
  return endpoint(name, {
    reload: async (input) => {
      asked.push(input?.query);
      return answer;
    },
  });
}

describe('godwit reload', () => {
  test('godwit reload reports the applied settings, the ones that wait for a restart, and the remaining mistakes', async () => {
    const asked: unknown[] = [];
    const context = new FakeContext(agent('a', ANSWER, asked));
    assert.equal(await godwit(context, 'reload'), 0);
    assert.deepEqual(asked, [{ dryRun: 'false' }]);
    assert.equal(
      context.out.text,
      'taken: limits.migrationsIn\nneeds a restart of the agent: address\n' +
        'warning: storage.0.path: /srv is not there\n  Mount it.\n',
    );
  });

  test('--dry-run reports what would be applied, and --json prints the answer', async () => {
    const asked: unknown[] = [];
    const dry = new FakeContext(agent('a', ANSWER, asked));
    assert.equal(await godwit(dry, 'reload --dry-run'), 0);
    assert.deepEqual(asked, [{ dryRun: 'true' }]);
    assert.match(dry.out.text, /^would be taken: limits/);
    const json = new FakeContext(agent('a', ANSWER));
    assert.equal(await godwit(json, 'reload --json'), 0);
    assert.deepEqual(JSON.parse(json.out.text), ANSWER);
  });

  test('godwit reload reports that nothing has changed', async () => {
    const none = { file: '/etc/godwit/agent.json', taken: [], restart: [], warnings: [] };
    const context = new FakeContext(agent('a', none));
    assert.equal(await godwit(context, 'reload'), 0);
    assert.equal(context.out.text, '/etc/godwit/agent.json: nothing has changed\n');
  });

  test('godwit reload does not choose among the agents of a lab', async () => {
    const context = new FakeContext(agent('a', ANSWER), agent('b', ANSWER));
    assert.equal(await godwit(context, 'reload'), 2);
    assert.match(context.err.text, /--host/);
  });
});

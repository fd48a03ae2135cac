import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AgentApi } from '../../../src/cli/connection/agent-set.ts';
import { ERRORS, godwitError } from '../../../src/errors.ts';
import { checkRequest, type CheckRequest } from '../../../src/protocol/public/check.ts';
import { checked } from '../checked.ts';
import { endpoint, FakeContext, godwit, guest, host } from '../fake.ts';

function world(more: Partial<AgentApi> = {}) {
  const asked: CheckRequest[] = [];
  const context = new FakeContext(
    endpoint('a', {
      guests: async () => ({ guests: [guest('web1', 'a')] }),
      hosts: async () => ({ hosts: [host('a'), host('beta')] }),
      check: async ({ body }) => {
        asked.push(checkRequest.parse(body));
        return checked(body.to === undefined ? ['b', 'c'] : [body.to]);
      },
      ...more,
    }),
  );
  return { asked, context };
}

describe('godwit check', () => {
  test('asks with the flags of a migration, the defaults filled in', async () => {
    const { asked, context } = world();
    const line = 'check web1 --to b --mode hybrid --streams 4 --path auto --network br0=br1';
    assert.equal(await godwit(context, line), 0, context.err.text);
    assert.deepEqual(JSON.parse(JSON.stringify(asked)), [
      {
        guest: 'web1',
        to: 'b',
        mode: 'hybrid',
        maxDowntimeMs: 100,
        streams: 4,
        compress: 'none',
        timeoutMs: 600_000,
        hybridRounds: 3,
        onLost: 'hold',
        path: 'auto',
        linkGraceMs: 60_000,
        networks: { br0: 'br1' },
      },
    ]);
  });

  test('shows each check with its hint, and warnings do not fail it', async () => {
    const { context } = world();
    assert.equal(await godwit(context, 'check web1 --to b'), 0);
    assert.match(context.out.text, /ok +memory \(destination\): 2 GiB free/);
    assert.match(context.out.text, /warn +user .*\n +Give it a user\./);
    assert.match(context.out.text, /web1 from a to b: it can move; 1 of 2 checks warn/);
  });

  test('exits with the code of the first refusal, and says what to do', async () => {
    const { context } = world();
    assert.equal(await godwit(context, 'check web1 --to c'), ERRORS.GODWIT_NAME_IN_USE.exit);
    assert.match(context.out.text, /it cannot move: 1 of 3 checks refuse/);
    assert.match(context.err.text, /c already has a guest called web1[\s\S]*hint: Rename/);
  });

  test('with --to any asks for every host, and passes where one of them can take the guest', async () => {
    const { asked, context } = world();
    assert.equal(await godwit(context, 'check web1 --to any'), 0);
    assert.equal(asked[0]?.to, undefined);
    assert.match(context.out.text, /^HOST +VERDICT +WHY\nb .*warn .*user.*\nc .*refuse .*name/);
    const nobody = world({ check: async () => checked(['c', 'd']) });
    const exit = await godwit(nobody.context, 'check web1 --to any');
    assert.equal(exit, ERRORS.GODWIT_NAME_IN_USE.exit);
    assert.equal(nobody.context.err.text, '');
  });

  test('a host without peers has nowhere to move a guest to', async () => {
    const { context } = world({ check: async () => checked([]) });
    assert.equal(await godwit(context, 'check web1 --to any'), 3);
    assert.match(context.err.text, /`peers`/);
  });

  test('needs a host, and names the nearest where there is none of that name', async () => {
    const { context } = world();
    assert.equal(await godwit(context, 'check web1'), 2);
    assert.match(context.err.text, /godwit check needs --to HOST/);
    const unknown = world({
      check: async () => {
        throw godwitError('GODWIT_HOST_UNKNOWN', { host: 'bet' });
      },
    });
    assert.equal(await godwit(unknown.context, 'check web1 --to bet'), 3);
    assert.match(unknown.context.err.text, /Did you mean beta/);
  });
});

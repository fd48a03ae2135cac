import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { collectFacts } from '../../../src/cli/doctor/collect.ts';
import type { ConnectionFlags } from '../../../src/cli/context.ts';
import { fleet } from '../../agent/samples.ts';
import { FakeContext } from '../fake.ts';

describe("doctor's agent", () => {
  test('doctor asks the agent of the given configuration and no other', async (t) => {
    const { host } = await fleet(t);
    const { config } = await host('a', {});
    const file = path.join(config.stateDir, 'agent.json');
    const { name, address, stateDir } = config;
    writeFileSync(file, JSON.stringify({ name, address, stateDir }));
    const asked: ConnectionFlags[] = [];
    const context = new FakeContext();
    context.connect = (flags: ConnectionFlags = {}) => {
      asked.push(flags);
      return Promise.reject(new Error('nobody'));
    };
    await collectFacts(context, {}, file);
    await collectFacts(context, { lab: 'demo' }, file);
    const { agent } = await collectFacts(context, {}, import.meta.filename);
    assert.match(agent.problem ?? '', /^not asked/);
    assert.deepEqual(asked, [{ agent: path.join(stateDir, 'agent.sock') }, { lab: 'demo' }]);
  });

  test('doctor reports the reason if the agent does not answer', async () => {
    const facts = await collectFacts(new FakeContext(), {}, undefined);
    assert.match(facts.agent.problem ?? '', /an agent at here does not answer: none/);
  });
});

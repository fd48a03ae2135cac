import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mustKnow } from '../../../src/cli/migrate/agent-knows.ts';
import type { Endpoint } from '../../../src/cli/connection/agent-set.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';
import { openApi } from '../../../src/protocol/public/openapi.ts';
import { publicContract } from '../../../src/protocol/contract.ts';
import { hasCode } from '../../../src/errors.ts';

const rehearsal = migrationRequest.parse({ guest: 'web1', to: 'b', rehearse: true });
const endpoint = (document: unknown): Endpoint =>
  ({ api: { openapi: async () => document } }) as unknown as Endpoint;

describe('flags that the agent must support', () => {
  test('a flag that the agent must support is found in the description of its API', async () => {
    await mustKnow(endpoint(openApi(publicContract, 'Godwit agent')), rehearsal);
  });

  test('an agent of an earlier build is refused, because it would ignore the flag and move the guest', async () => {
    const schemas = { MigrationRequest: { properties: { guest: {}, to: {} } } };
    for (const earlier of [{ components: { schemas } }, {}, 'no document']) {
      const refused = mustKnow(endpoint(earlier), rehearsal);
      await assert.rejects(refused, (thrown) => hasCode(thrown, 'GODWIT_CAPABILITY'));
    }
  });

  test('the description is not requested if nothing depends on it', async () => {
    const { rehearse: _, ...plain } = rehearsal;
    const asked = { api: { openapi: () => assert.fail('it was asked') } } as unknown as Endpoint;
    await mustKnow(asked, plain);
  });
});

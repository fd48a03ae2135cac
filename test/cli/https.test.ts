import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { issueLabPki } from '../../lab/pki.ts';
import { connect } from '../../src/cli/connection/connect.ts';
import { reachHost, type AgentSet } from '../../src/cli/connection/agent-set.ts';
import { findGuest } from '../../src/cli/guests/fleet-guests.ts';
import { godwitError, hasCode } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { agentContract } from '../../src/protocol/contract.ts';
import { migrationRequest } from '../../src/protocol/public/migration.ts';
import { listenTls, type Listening } from '../../src/rpc/listen.ts';
import { serve, type Handlers } from '../../src/rpc/server.ts';
import { readCredentials } from '../../src/rpc/tls.ts';
import { certificatesOf, guest, host, ID } from './fake.ts';

describe('agents on other machines', () => {
  let folder = '';
  let certificates = '';
  const agents = new Map<string, Listening>();
  const fleets: AgentSet[] = [];

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'godwit-https-'));
    const hosts = ['a', 'b'].map((name) => {
      return { name, pkiDir: path.join(folder, name), addresses: ['127.0.0.1'] };
    });
    certificates = (await issueLabPki(folder, hosts)).operatorDir;
    for (const { name, pkiDir } of hosts) {
      const handlers: Partial<Handlers<typeof agentContract>> = {
        guest: ({ params }) => {
          if (name === 'b' && params.guest === 'db') return guest('db', 'b');
          throw godwitError('GODWIT_GUEST_UNKNOWN', { guest: params.guest, host: name });
        },
        guests: () => ({ guests: [guest('db', 'b')] }),
        hosts: () => ({
          hosts: [...agents].map(([each, { address }]) =>
            host(each, { address, self: each === name }),
          ),
        }),
        migrate: ({ caller }) => {
          assert.deepEqual([caller.name, caller.role], ['operator', 'operator']);
          return { id: ID };
        },
      };
      const listener = serve(agentContract, handlers as Handlers<typeof agentContract>, {
        name,
        log: silentLog,
      });
      const where = { address: '127.0.0.1:0' };
      agents.set(
        name,
        await listenTls(listener, where, readCredentials(pkiDir), { log: silentLog }),
      );
    }
  });
  after(async () => {
    for (const fleet of fleets) fleet.close();
    for (const agent of agents.values()) await agent.close(0);
    await rm(folder, { recursive: true });
  });

  async function reach(name: string, at: string): Promise<AgentSet> {
    const agent = `https://${name}@${agents.get(at)?.address}`;
    const fleet = await connect({ agent, ...certificatesOf(certificates) }, {});
    fleets.push(fleet);
    return fleet;
  }

  test('agents on other machines are asked with a certificate', async () => {
    const fleet = await reach('a', 'a');
    assert.equal((await fleet.endpoints[0].api.hosts()).hosts.length, 2);
  });

  test('an agent other than the named host is refused', async () => {
    const fleet = await reach('a', 'b');
    await assert.rejects(fleet.endpoints[0].api.hosts(), (error) =>
      hasCode(error, 'GODWIT_PEER_UNTRUSTED'),
    );
  });

  test('agents are reached through each other, to move a guest at its host', async () => {
    const fleet = await reach('a', 'a');
    const { guest: found, home } = await findGuest(fleet, 'db');
    assert.equal(home, undefined);
    const own = await reachHost(fleet, found.host);
    const body = migrationRequest.parse({ guest: 'db', to: 'a' });
    assert.deepEqual(await own?.api.migrate({ body }), { id: ID });
  });
});

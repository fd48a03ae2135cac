/** Runs on a host of the lab: makes one typed call with a certificate and prints `{answer}` or `{error}`. */
import { toGodwitError } from '../../../src/errors.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { peerContract } from '../../../src/protocol/peer/contract.ts';
import { client } from '../../../src/rpc/client.ts';
import { readCredentials } from '../../../src/rpc/tls.ts';
import type { Identity, TypedCall } from './peers.ts';

const given = JSON.parse(process.argv[2] ?? '') as TypedCall & { identity: Identity };
const { identity, address, server, contract, call, input } = given;
const credentials = readCredentials(identity.directory, identity.stem);
const options = { deadlineMs: 30_000 };
const transport = { address, credentials, expectedName: server };
const { api, close } =
  contract === 'agent' ? client(agentContract, transport) : client(peerContract, transport);
const calls = api as unknown as Record<
  string,
  (input: object, options: object) => Promise<unknown>
>;
try {
  const answer = await calls[call]?.(input, options);
  process.stdout.write(JSON.stringify({ answer }));
} catch (thrown) {
  process.stdout.write(JSON.stringify({ error: toGodwitError(thrown) }));
} finally {
  close();
}

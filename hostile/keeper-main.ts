/**
 * Runs on the third host: sends a guest to the attacked one, as far as its admission, and keeps that migration alive.
 * Says where its mover listens, then how it stands each time that it is asked; releases it at the end.
 */
import { createInterface } from 'node:readline';
import { agentContract } from '../src/protocol/contract.ts';
import { peerContract } from '../src/protocol/peer/contract.ts';
import type { Admission } from '../src/protocol/peer/migration.ts';
import { client } from '../src/rpc/client.ts';
import { readCredentials } from '../src/rpc/tls.ts';
import { jsonLine } from '../src/formats/json.ts';

interface ProcessInput {
  readonly pkiDir: string;
  readonly address: string;
  readonly server: string;
  readonly admission: Admission;
}

/** Less than half of what a destination takes for silence, ms. */
const EVERY_MS = 3000;

const { pkiDir, address, server, admission } = JSON.parse(process.argv[2] ?? '') as ProcessInput;
const shared = { credentials: readCredentials(pkiDir), expectedName: server };
const agent = client(agentContract, { ...shared, address });
const { moverAddress } = await agent.api.admit({ body: admission }, { deadlineMs: 30_000 });
agent.close();
const mover = client(peerContract, { ...shared, address: moverAddress });
const status = (): Promise<unknown> =>
  mover.api
    .status({}, { deadlineMs: 20_000 })
    .catch((error: unknown) => ({ error: String(error) }));
const beat = setInterval(() => void status(), EVERY_MS);
const say = (what: unknown): void => {
  process.stdout.write(jsonLine(what));
};
say({ moverAddress });
for await (const _line of createInterface({ input: process.stdin })) say(await status());
clearInterval(beat);
await mover.api
  .release({ body: { epoch: admission.epoch } }, { deadlineMs: 60_000 })
  .catch(() => {});
mover.close();
process.exit(0);

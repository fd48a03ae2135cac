import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { z } from 'zod';
import { initCa, issue } from '../../src/pki/authority.ts';
import { silentLog } from '../../src/log.ts';
import { agentContract } from '../../src/protocol/contract.ts';
import { peerContract } from '../../src/protocol/peer/contract.ts';
import { LIST_BYTES, type Access, type Role } from '../../src/protocol/route.ts';
import { PROTOCOL_VERSIONS } from '../../src/protocol/version.ts';
import { client, type ClientOptions } from '../../src/rpc/client.ts';
import { DEFAULT_LIMITS, type Circle, type RpcLimits, type Share } from '../../src/rpc/limits.ts';
import { listenTls, listenUnix, type Listening } from '../../src/rpc/listen.ts';
import { serve, type Handlers, type ServeOptions } from '../../src/rpc/server.ts';
import type { Credentials } from '../../src/rpc/tls.ts';

/** A small contract with a route of each kind. */
const none = z.object({});
const route = <S extends boolean>(access: Access, stream: S) => ({
  method: 'POST' as const,
  summary: '',
  access,
  bodyBytes: LIST_BYTES,
  answerBytes: LIST_BYTES,
  params: z.object({ name: z.string().max(20) }),
  query: z.object({ times: z.coerce.number().int().max(1000).default(1) }),
  body: z.object({ text: z.string().max(2_000_000) }),
  response: z.object({ said: z.string().max(2_000_000), by: z.string() }),
  stream,
});
export const contract = {
  hello: agentContract.hello,
  say: { ...route('viewer', false), path: '/say/:name' },
  act: { ...route('operator', false), path: '/act/:name' },
  report: { ...route('agent', false), path: '/report/:name' },
  repeat: { ...route('viewer', true), path: '/repeat/:name' },
  status: peerContract.status,
  broken: {
    ...route('viewer', false),
    method: 'GET' as const,
    path: '/broken',
    params: none,
    body: undefined,
  },
};
export type TestContract = typeof contract;

export const hello = { name: 'b', product: '0', versions: [...PROTOCOL_VERSIONS] };

/** Handlers that answer with what they got. */
export function echoes(): Handlers<TestContract> {
  const echo = ({ body, caller }: { body: { text: string }; caller: { name: string } }) => ({
    said: body.text,
    by: caller.name,
  });
  return {
    hello: () => hello,
    say: echo,
    act: echo,
    report: echo,
    async *repeat({ query, body, caller }) {
      for (let count = 0; count < query.times; count += 1) {
        yield { said: body.text, by: caller.name };
      }
    },
    status: () => {
      throw new Error('a secret of the inside');
    },
    broken: () => ({ wrong: true }) as never,
  };
}

/** The usual shares, but for one circle. */
export function sharesOf(circle: Circle, given: Partial<Share>): RpcLimits['shares'] {
  const { shares } = DEFAULT_LIMITS;
  return { ...shares, [circle]: { ...shares[circle], ...given } };
}

/** A directory that is removed when the test ends. */
export function tempDir(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A CA, and certificates of it for anybody. */
export async function authority(t: TestContext): Promise<{
  caDir: string;
  issue: (name: string, role: Role, days?: number) => Promise<Credentials>;
}> {
  const caDir = path.join(tempDir(t), 'ca');
  await initCa(caDir);
  return {
    caDir,
    issue: (name, role, days = 1) => issue({ caDir, name, role, days, addresses: ['127.0.0.1'] }),
  };
}

export async function serving(
  t: TestContext,
  credentials: Credentials,
  given: {
    handlers?: Partial<Handlers<TestContract>>;
    limits?: Partial<RpcLimits>;
    authorise?: NonNullable<ServeOptions['authorise']>;
    port?: number;
  } = {},
): Promise<Listening> {
  const { limits = {}, authorise } = given;
  const listener = serve(
    contract,
    { ...echoes(), ...given.handlers },
    { name: 'b', log: silentLog, limits, ...(authorise === undefined ? {} : { authorise }) },
  );
  const where = { address: `127.0.0.1:${given.port ?? 0}` };
  const listening = await listenTls(listener, where, credentials, { log: silentLog, limits });
  t.after(() => listening.close());
  return listening;
}

export async function servingUnix(
  t: TestContext,
  handlers: Partial<Handlers<TestContract>> = {},
  limits: Partial<RpcLimits> = {},
): Promise<Listening> {
  const options = { name: 'b', log: silentLog, limits };
  const listener = serve(contract, { ...echoes(), ...handlers }, options);
  const listening = await listenUnix(listener, path.join(tempDir(t), 'api.sock'), options);
  t.after(() => listening.close());
  return listening;
}

export function calling(
  t: TestContext,
  address: string,
  credentials: Credentials,
  given: { name?: string; role?: Role; options?: ClientOptions } = {},
) {
  const { name = 'b', role = 'agent', options = {} } = given;
  const transport = { address, credentials, expectedName: name, expectedRole: role };
  const made = client(contract, transport, options);
  t.after(() => made.close());
  return made;
}

export function callingUnix(t: TestContext, file: string, options: ClientOptions = {}) {
  const made = client(contract, { unix: file }, options);
  t.after(() => made.close());
  return made;
}

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { ERRORS, GodwitError, godwitError, type ErrorCode } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { helloRoutes } from '../../src/protocol/hello.ts';
import { publicContract } from '../../src/protocol/contract.ts';
import { errorsOf } from '../../src/protocol/route-errors.ts';
import type { Contract, Route } from '../../src/protocol/route.ts';
import { client } from '../../src/rpc/client.ts';
import { listenUnix } from '../../src/rpc/listen.ts';
import { serve, type Handlers } from '../../src/rpc/server.ts';
import { tempDir } from './test-contract.ts';

const codes = Object.keys(ERRORS) as ErrorCode[];
const none = z.object({});

/** The routes of the public API with their errors, without what goes in and out; the unix socket may call each. */
const contract: Contract = Object.fromEntries(
  Object.entries<Route>(publicContract).map(([key, { stream, access, errors }]) => {
    const place = { method: 'GET' as const, path: `/${key}`, summary: '' };
    const open = access === 'anyone' ? 'anyone' : ('viewer' as const);
    const route = { ...place, access: open, params: none, query: none, body: undefined };
    return [key, { ...route, response: none, stream, ...(errors ? { errors } : {}) } as Route];
  }),
);

test('no route of the public API answers with an error that it does not name', async (t) => {
  let code: ErrorCode = 'GODWIT_INTERNAL';
  const fails = (): never => {
    const { retryable } = ERRORS[code];
    throw new GodwitError({ code, message: 'its own words', hint: 'a fix', retryable, facts: {} });
  };
  const handlers = Object.fromEntries(
    Object.entries(contract).map(([key, { stream }]) => [
      key,
      stream
        ? async function* () {
            yield {};
            fails();
          }
        : fails,
    ]),
  ) as Handlers<Contract>;
  const options = { name: 'b', log: silentLog };
  const listener = serve(contract, handlers, options);
  const listening = await listenUnix(listener, path.join(tempDir(t), 'api.sock'), options);
  t.after(() => listening.close());
  const made = client(contract, { unix: listening.address });
  t.after(() => made.close());
  const call = async (key: string): Promise<unknown> => {
    const answer = made.api[key]?.();
    assert.ok(answer, key);
    if (contract[key]?.stream !== true) return answer;
    return Array.fromAsync(answer as unknown as AsyncIterable<unknown>);
  };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...Object.keys(contract)),
      fc.constantFrom(...codes),
      async (key, thrown) => {
        code = thrown;
        const named = errorsOf(contract[key] as Route);
        // What a newer host said is no error of this build's routes.
        const passes = thrown === 'GODWIT_ERROR_NEWER' || named?.includes(thrown);
        const wanted = passes ? thrown : 'GODWIT_INTERNAL';
        await assert.rejects(call(key), (error: GodwitError) => {
          assert.equal(error.code, wanted);
          assert.ok(error.message.includes('its own words') && error.hint === 'a fix');
          return true;
        });
      },
    ),
    { numRuns: 500 },
  );
});

test('a server that refuses access reports it, even on a route for anyone', async (t) => {
  const refusal = godwitError('GODWIT_ROLE_FORBIDDEN', {
    peer: 'c',
    role: 'agent',
    action: 'this migration',
    needs: 'the certificate of b',
  });
  const authorise = (): never => {
    throw refusal;
  };
  const options = { name: 'b', log: silentLog, authorise };
  const handlers = { hello: () => ({ name: 'b', product: 'godwit', versions: [1] }) };
  const listener = serve(helloRoutes, handlers, options);
  const listening = await listenUnix(listener, path.join(tempDir(t), 'api.sock'), options);
  t.after(() => listening.close());
  const made = client(helloRoutes, { unix: listening.address });
  t.after(() => made.close());
  await assert.rejects(made.api.hello(), { code: 'GODWIT_ROLE_FORBIDDEN' });
});

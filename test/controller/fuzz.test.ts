import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { WEB_ROLES } from '../../src/protocol/controller/session.ts';
import { authority } from '../rpc/test-contract.ts';
import { Browser } from './browser.ts';
import { controllerOf } from './test-controller.ts';

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: unknown;
}
interface Place {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

/** Requests to each operation, for each of these: no role, and each role. */
const RUNS = 12;

const deep = '['.repeat(20_000) + ']'.repeat(20_000);
const bodies = fc.oneof(
  fc.jsonValue({ maxDepth: 6 }),
  fc.record({ kind: fc.constantFrom('drain', 'migration', 7), hosts: fc.jsonValue() }),
  fc.record({
    name: fc.string({ unit: 'grapheme' }),
    role: fc.constantFrom('admin', null, 'root'),
  }),
  fc.constant({ token: 'x'.repeat(300_000) }),
  fc.constant({ __proto__: { admin: true }, constructor: null, toString: 1 }),
);
const words = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.constantFrom(
    '',
    '..',
    '../../etc/passwd',
    '\0',
    '%00',
    'a'.repeat(2000),
    '-1',
    '1e99',
    '𝕘',
    "' or 1=1 --",
  ),
  fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/),
  fc.stringMatching(/^[wm]-[0-9a-z]{8,12}$/),
);

test(
  'no route answers a malformed request with a defect or with internal details',
  { timeout: 300_000 },
  async (t) => {
    const { caDir } = await authority(t);
    const { controller, api } = await controllerOf(t, caDir, { web: { address: '127.0.0.1:0' } });
    const browser = new Browser(t, controller.web ?? '', caDir);
    const tokens: (string | undefined)[] = [undefined];
    for (const role of WEB_ROLES)
      tokens.push((await api.createToken({ body: { name: role, role } })).token);
    const { json } = await browser.ask('/openapi.json');
    const { paths } = json as { paths: Record<string, Record<string, Operation>> };
    const places: Place[] = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    );
    assert.ok(places.length > 20);
    const seen = new Set<number>();
    for (const { method, path, operation } of places) {
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...tokens),
          fc.array(words, { minLength: 12, maxLength: 12 }),
          bodies,
          async (token, given, body) => {
            let at = 0;
            const next = (): string =>
              encodeURIComponent((given[(at += 1) % given.length] ?? '').toWellFormed());
            const place = path.replaceAll(/\{\w+\}/g, next);
            const fields = (operation.parameters ?? []).filter((each) => each.in === 'query');
            const query = fields.map(({ name }) => `${name}=${next()}`).join('&');
            const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
            const got = await browser.ask(`${place}?${query}`, {
              method: method.toUpperCase(),
              headers,
              ...(operation.requestBody === undefined ? {} : { body }),
            });
            seen.add(got.status);
            const said = got.bytes.toString();
            const what = `${method} ${place}?${query}: ${got.status} ${said.slice(0, 300)}`;
            assert.ok(got.status < 500, what);
            if (got.status >= 400)
              assert.doesNotMatch(said, /\n\s+at |node:internal|\/src\//, what);
          },
        ),
        { numRuns: RUNS },
      );
    }
    // What is refused is refused for each of the reasons that there are.
    for (const status of [200, 400, 401, 403, 404]) assert.ok(seen.has(status), String(status));
  },
);

test('a body that is endlessly nested, too large or malformed is refused with the reason', async (t) => {
  const { caDir } = await authority(t);
  const { controller, api } = await controllerOf(t, caDir, { web: { address: '127.0.0.1:0' } });
  const browser = new Browser(t, controller.web ?? '', caDir);
  const { token } = await api.createToken({ body: { name: 'ann', role: 'admin' } });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const put = (raw: string) =>
    browser.ask('/v1/requests/r-abcdefgh', { method: 'PUT', headers, raw });
  const statuses = [
    (await put(deep)).status,
    (await put('{')).status,
    (await put('x'.repeat(2 ** 21))).status,
  ];
  assert.deepEqual(statuses, [413, 400, 413]);
  const long = await browser.ask('/v1/hosts', {
    headers: { ...headers, 'x-long': 'x'.repeat(20_000) },
  });
  assert.equal(long.status, 413);
});

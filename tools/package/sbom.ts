import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';

/** The bill of materials of a package (CycloneDX), made by npm of the lock file and cut to the parts that are in it. */

const root = path.resolve(import.meta.dirname, '../..');
const NPM_MS = 120_000;
const MAX_BYTES = 64 * 1024 * 1024;

const component = z.looseObject({
  'bom-ref': z.string(),
  name: z.string(),
  version: z.string(),
});
const bill = z.looseObject({
  bomFormat: z.literal('CycloneDX'),
  serialNumber: z.string(),
  metadata: z.looseObject({ timestamp: z.string(), component: z.looseObject({}) }),
  components: z.array(component),
  dependencies: z.array(z.looseObject({ ref: z.string(), dependsOn: z.array(z.string()) })),
});
export type Bill = z.infer<typeof bill>;

/** A part with the version that is in the package. */
export interface PackagedPart {
  readonly name: string;
  readonly version: string;
  readonly license: string | undefined;
}

export interface BillOptions {
  readonly version: string;
  /** Time of all files of the package, s. */
  readonly epoch: number;
  readonly parts: readonly PackagedPart[];
}

/** As npm writes it. */
export function npmBill(): Bill {
  const argv = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx', '--loglevel', 'error'];
  const text = execFileSync('npm', argv, {
    cwd: root,
    encoding: 'utf8',
    timeout: NPM_MS,
    maxBuffer: MAX_BYTES,
  });
  return bill.parse(JSON.parse(text));
}

/** The same bytes for the same parts. A part that the lock file does not have (Node itself) comes from its own package.json. */
export function billText(all: Bill, { version, epoch, parts }: BillOptions): string {
  const keyOf = (part: { readonly name: string; readonly version: string }): string =>
    `${part.name}@${part.version}`;
  const locked = new Map(all.components.map((each) => [keyOf(each), each]));
  const components = parts
    .toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
    .map((part) => locked.get(keyOf(part)) ?? ownComponent(part));
  const refs = new Set(components.map((each) => each['bom-ref']));
  const own = `pkg:generic/godwit@${version}`;
  const dependencies = [
    { ref: own, dependsOn: [...refs] },
    ...all.dependencies
      .filter(({ ref }) => refs.has(ref))
      .map(({ ref, dependsOn }) => ({
        ref,
        dependsOn: dependsOn.filter((each) => refs.has(each)),
      })),
  ];
  const made = {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: {
      timestamp: new Date(epoch * 1000).toISOString(),
      component: {
        'bom-ref': own,
        type: 'application',
        name: 'godwit',
        version,
        purl: own,
        licenses: [{ license: { id: 'Apache-2.0' } }],
      },
    },
    components,
    dependencies,
  };
  const digest = createHash('sha256').update(JSON.stringify(made)).digest('hex');
  const id = digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-8$3-8$4-$5');
  return `${JSON.stringify({ ...made, serialNumber: `urn:uuid:${id}` }, null, 1)}\n`;
}

function ownComponent({ name, version, license }: PackagedPart): Bill['components'][number] {
  return {
    'bom-ref': `${name}@${version}`,
    type: 'library',
    name,
    version,
    purl: `pkg:npm/${name.replace(/^@/, '%40')}@${version}`,
    ...(license !== undefined && { licenses: [{ expression: license }] }),
  };
}

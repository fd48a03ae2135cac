import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../../src/errors.ts';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';

const kernelManifest = z.object({
  release: z.string().min(1).max(256),
  vmlinuz: z.string().min(1).max(4096),
  modulesDir: z.string().min(1).max(4096),
  busybox: z.string().min(1).max(4096),
});

/** The kernel, its modules and the busybox of the lab's guests, as tools/setup.sh left them. */
export type GuestKernel = z.infer<typeof kernelManifest>;

/** Throws GODWIT_HOST_LACKS where setup has not been run. */
export async function guestKernel(): Promise<GuestKernel> {
  const file = path.join(cacheDirectory(), 'guest', 'kernel', 'manifest.json');
  try {
    return kernelManifest.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw godwitError(
      'GODWIT_HOST_LACKS',
      { what: `a kernel for the lab's guests (${file})` },
      { hint: 'Run `npm run setup`.', cause },
    );
  }
}

import {
  access,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createHash } from 'node:crypto';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { runCommand } from '../command.ts';
import { librariesOf } from '../image/program.ts';

/** The image of the lab's container, one layer: Node with its libraries, and the workload. */

const WORKLOAD = fileURLToPath(new URL('workload.ts', import.meta.url));

/** Where the layers of the lab's containers lie. */
export function layerDirectory(): string {
  return path.join(cacheDirectory(), 'containers-lab', 'layers');
}

/** The layer's directory; made where it is not there yet. */
export async function containerLayer(): Promise<string> {
  const text = await readFile(WORKLOAD, 'utf8');
  // Not the program's path: each checkout has its own, and a host reads all layers that there are to find one.
  const { size } = await stat(process.execPath);
  const key = createHash('sha256').update(`${process.version} ${size}\n${text}`);
  const directory = path.join(layerDirectory(), `node-${key.digest('hex').slice(0, 16)}`);
  const isThere = await access(directory).then(
    () => true,
    () => false,
  );
  if (isThere) return directory;
  await mkdir(layerDirectory(), { recursive: true });
  const made = await mkdtemp(path.join(layerDirectory(), '.new-'));
  try {
    const program = await realpath(process.execPath);
    const libraries = librariesOf(await runCommand(['ldd', program]));
    const files = [
      { name: 'bin/node', file: program },
      { name: 'workload.ts', file: WORKLOAD },
      ...libraries,
    ];
    for (const empty of ['proc', 'sys', 'dev', 'tmp']) await mkdir(path.join(made, empty));
    for (const { name, file } of files) {
      await mkdir(path.dirname(path.join(made, name)), { recursive: true });
      await copyFile(await realpath(file), path.join(made, name));
    }
    await runCommand(['chmod', '-R', 'a+rX', made]);
    // Somebody else may have made it meanwhile: it is the same.
    await rename(made, directory).catch(() => undefined);
    return directory;
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

import { readFile } from 'node:fs/promises';

/** Key of `client.USER` in a Ceph keyring; undefined if the file does not exist, since a cluster may require none. */
export async function keyIn(file: string, user = 'admin'): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : findKey(text, `client.${user}`);
}

export function findKey(text: string, owner: string): string | undefined {
  let section = '';
  for (const line of text.split('\n')) {
    const named = /^\s*\[([^\]]+)\]/.exec(line)?.[1];
    if (named !== undefined) section = named.trim();
    const key = /^\s*key\s*=\s*([A-Za-z0-9+/]{1,512}={0,2})\s*$/.exec(line)?.[1];
    if (key !== undefined && section === owner) return key;
  }
  return undefined;
}

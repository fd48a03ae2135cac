import { access } from 'node:fs/promises';

const DIRECTORIES = ['/run/openvswitch', '/usr/local/var/run/openvswitch'];

/**
 * The socket of this host's Open vSwitch; undefined where it has none. As its own tools look for it: in OVS_RUNDIR, and
 * else where they were built to. That something answers there is not said.
 */
export async function ovsDatabase(
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const own = environment['OVS_RUNDIR'];
  for (const directory of own ? [own] : DIRECTORIES) {
    const socket = `${directory}/db.sock`;
    const isThere = await access(socket).then(
      () => true,
      () => false,
    );
    if (isThere) return socket;
  }
  return undefined;
}

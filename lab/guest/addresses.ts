import { readFile, rename, writeFile } from 'node:fs/promises';
import type { AgentConfigInput } from '../../src/config.ts';
import type { Lab } from '../state.ts';
import { labGuests } from './registry.ts';

/**
 * Writes the addresses of the lab's guests into its hosts' configurations, as a site's inventory would: on a plain bridge
 * no host knows them, and whoever watches a guest must. Movers read the file anew.
 */
export async function registerAddresses(lab: Lab): Promise<void> {
  const guests = await labGuests(lab);
  const addresses = Object.fromEntries(guests.map(({ name, address }) => [name, [address]]));
  for (const { configFile } of lab.members) {
    const config = JSON.parse(await readFile(configFile, 'utf8')) as AgentConfigInput;
    const { probe } = config.network ?? {};
    if (probe === 'off') continue;
    const network = { ...config.network, probe: { ...probe, addresses } };
    const temporary = `${configFile}.${process.pid}`;
    const text = `${JSON.stringify({ ...config, network }, null, 2)}\n`;
    await writeFile(temporary, text, { mode: 0o600 });
    await rename(temporary, configFile);
  }
}

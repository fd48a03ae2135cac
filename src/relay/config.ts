import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { address, hostName } from '../protocol/names.ts';
import { checkedSettings, readSettings } from '../config/settings.ts';

const absolute = z.string().min(1).max(4096).refine(isAbsolute, 'expected an absolute path');

export const relayConfig = z.strictObject({
  /** This relay's name; must be the CN of its certificate. */
  name: hostName,
  /** host:port for the hosts' connections. */
  address,
  addresses: z.array(address).max(8).default([]),
  /** ca.crt, relay.crt, relay.key, and the fleet's list. */
  pkiDir: absolute,
  /** Permitted hosts in addition to the fleet's members. */
  hosts: z.array(hostName).max(1024).default([]),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});
export type RelayConfig = z.infer<typeof relayConfig>;

export function loadRelayConfig(file: string): RelayConfig {
  return checkedSettings(readSettings(file), relayConfig);
}

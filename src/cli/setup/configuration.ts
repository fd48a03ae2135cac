import path from 'node:path';
import type { z } from 'zod';
import type { agentConfig } from '../../config.ts';
import { defined } from '../../protocol/defined.ts';
import { splitAddress } from '../../protocol/names.ts';

/** A host's first configuration, with the purpose of each line. Pure. */

export interface Place {
  readonly name: string;
  readonly address: string;
  readonly stateDir: string;
  /** On the host of the CA. */
  readonly caDir?: string;
  readonly storage: readonly string[];
}

const PORTS = { from: 49_152, to: 49_407 } as const;

export function configurationOf({ name, address, stateDir, caDir, storage }: Place): string {
  const config: z.input<typeof agentConfig> = {
    name,
    address,
    ports: { ...PORTS },
    stateDir,
    ...defined({ caDir }),
    storage: storage.map((each) => ({ path: each })),
  };
  const lines = Object.entries(config).map(
    ([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  );
  return `{\n${lines.join(',\n')}\n}\n`;
}

/** The text next to the configuration, with the reason of each setting. */
export function explanationOf(place: Place): string {
  const { port } = splitAddress(place.address);
  const reasons: [string, string][] = [
    [
      'name',
      `This host's name, as in its certificate: ${place.name}. Other hosts know it by that.`,
    ],
    [
      'address',
      `Other hosts reach this one at ${place.address}, and memory of guests arrives there. Let them through: TCP ${port}.`,
    ],
    [
      'ports',
      `Movers listen on these, for the time of a migration. Let other hosts through: TCP ${PORTS.from} to ${PORTS.to}.`,
    ],
    [
      'stateDir',
      `What Godwit keeps: journals, certificates (pki), caches, and agent.sock, which the command line finds by this line.`,
    ],
  ];
  if (place.caDir !== undefined) {
    reasons.push([
      'caDir',
      'The CA of the fleet, on this host alone. Keep a copy of ca.key offline: who has it can be any host.',
    ]);
  }
  reasons.push([
    'storage',
    place.storage.length === 0
      ? 'Empty: no disk is opened, so only guests without disks can move. Add directories: [{"path": "/srv/images"}].'
      : 'Guest disks are in these directories. No other file is opened as a disk.',
  ]);
  const parts = reasons.map(([key, why]) => `${key}\n    ${why}\n`);
  return `What each line of agent.json is for. docs/configuration.md lists every setting that there is besides.
Most take effect when the agent is restarted, which no guest notices.

${parts.join('\n')}`;
}

export function explanationFile(config: string): string {
  return path.join(path.dirname(config), 'agent.json.txt');
}

/** A valid host name from the machine's hostname; undefined if no part of it is valid. */
export function nameFrom(hostname: string): string | undefined {
  const [label = ''] = hostname.toLowerCase().split('.', 1);
  const name = label
    .replaceAll(/[^a-z0-9-]/g, '-')
    .slice(0, 63)
    .replaceAll(/^-+|-{1,63}$/g, '');
  return name === '' ? undefined : name;
}

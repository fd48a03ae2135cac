/** From which hosts a MAC speaks, and in which order: counted by the switch's kernel, which sees every frame. */
import { runCommand } from '../../../lab/command.ts';
import { inHost } from '../../../lab/entry.ts';
import type { World } from './world.ts';

const COUNTERS = ['before', 'after', 'late'] as const;

/** Frames from the source's port until the destination's first, those from the destination's, and the source's since. */
export type Voices = Record<(typeof COUNTERS)[number], number>;

export interface Listening {
  heard(): Promise<Voices>;
  close(): Promise<void>;
}

/** Listens to a lab's switch while a guest with `mac` goes from one host to another. */
export async function listenTo(
  { lab }: World,
  mac: string,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<Listening> {
  const nft = (words: readonly string[], input?: string): Promise<string> =>
    runCommand(inHost(lab, 'switch', ['nft', ...words]), input === undefined ? {} : { input });
  await nft(
    ['-f', '-'],
    `table bridge voices {
      ${COUNTERS.map((name) => `counter ${name} { }`).join('\n')}
      set arrived { type ether_addr; size 16; flags dynamic; }
      chain heard {
        type filter hook prerouting priority -300; policy accept;
        iifname "lan-${to}" ether saddr ${mac} add @arrived { ether saddr } counter name after
        iifname "lan-${from}" ether saddr ${mac} ether saddr @arrived counter name late
        iifname "lan-${from}" ether saddr ${mac} ether saddr != @arrived counter name before
      }
    }\n`,
  );
  const count = async (name: string): Promise<number> => {
    const text = await nft(['list', 'counter', 'bridge', 'voices', name]);
    return Number(/packets (\d+)/.exec(text)?.[1] ?? Number.NaN);
  };
  return {
    heard: async () => {
      const [before, after, late] = await Promise.all(COUNTERS.map(count));
      return { before: before ?? 0, after: after ?? 0, late: late ?? 0 };
    },
    close: async () => {
      await nft(['delete', 'table', 'bridge', 'voices']);
    },
  };
}

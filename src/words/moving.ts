import type { GuestInfo } from '../protocol/public/hosts/host.ts';

export function movingWords({ migration = '', moving }: GuestInfo): string {
  if (moving === undefined) return `moving (${migration})`;
  const { from, to, runsAt } = moving;
  const words = {
    source: `runs on ${from}`,
    destination: `runs on ${to}`,
    unknown: 'who runs it is being decided',
    nowhere: 'runs nowhere',
  };
  return `moving from ${from} to ${to}, ${words[runsAt]} (${migration})`;
}

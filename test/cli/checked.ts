/** What an agent answers to a check: it passes for b with a warning, and is refused elsewhere. */
import { godwitError } from '../../src/errors.ts';
import type { CheckAnswer, CheckedHost } from '../../src/protocol/public/check.ts';

export function checked(hosts: readonly string[]): CheckAnswer {
  return { guest: 'web1', from: 'a', hosts: hosts.map(hostFor) };
}

function hostFor(to: string): CheckedHost {
  const common = [
    {
      name: 'memory',
      side: 'destination' as const,
      verdict: 'pass' as const,
      evidence: '2 GiB free, 1 GiB needed',
    },
    {
      name: 'user',
      side: 'destination' as const,
      verdict: 'warn' as const,
      evidence: 'QEMU runs as root',
      hint: 'Give it a user.',
    },
  ];
  if (to === 'b') return { to, verdict: 'warn', checks: common };
  const error = godwitError('GODWIT_NAME_IN_USE', { host: to, guest: 'web1' }).toJSON();
  const refused = {
    name: 'name',
    side: 'destination' as const,
    verdict: 'refuse' as const,
    evidence: error.message,
    error,
  };
  return { to, verdict: 'refuse', checks: [refused, ...common] };
}

import type { IpAnswer } from '../../src/network/ip.ts';

/** What the kernel says by `ip -j`; a question that is not among them has an empty answer. */
export const kernel =
  (answers: Record<string, unknown>) =>
  async (words: readonly string[]): Promise<IpAnswer> => ({
    status: 0,
    output: JSON.stringify(answers[words.slice(1).join(' ')] ?? []),
    reason: '',
  });

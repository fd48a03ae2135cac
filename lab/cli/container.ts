import { startContainer } from '../container/start.ts';
import { openLab } from '../up.ts';
import { formatBytes, formatRate } from '../../src/protocol/quantity.ts';
import { printJson } from '../../src/cli/context.ts';
import type { Run } from '../../src/cli/verb.ts';
import { inLab, labName } from './network.ts';
import type { labContainerSpec } from './specs.ts';

const DEFAULT_BYTES = 64 * 1024 ** 2;
const CHUNK = 64 * 1024;

export const run: Run<typeof labContainerSpec> = async (input, context) => {
  const { flags } = input;
  const lab = await openLab(labName(flags.lab, context));
  const bytes = flags.workingSet ?? DEFAULT_BYTES;
  const rate = flags.dirty ?? 0;
  const dirtyBytes = rate === 0 ? 0 : Math.floor(bytes / 2 / CHUNK) * CHUNK;
  const guest = await startContainer(lab, {
    name: input.args.guest,
    host: flags.host ?? 'a',
    staticBytes: bytes - dirtyBytes,
    dirtyBytes,
    dirtyBytesPerSecond: rate,
  });
  if (input.json) return printJson(context, guest);
  const dirty = rate === 0 ? 'none of it' : `${formatBytes(dirtyBytes)} of it`;
  context.out.write(
    `${guest.name} runs on ${guest.startedOn} at ${guest.address}: a container with ${formatBytes(bytes)} checksummed, ` +
      `${dirty} rewritten${rate === 0 ? '' : ` at ${formatRate(rate)}`}\n`,
  );
  const other = lab.hosts.find((host) => host !== guest.startedOn);
  if (other !== undefined) {
    context.out.write(`\nNext: godwit migrate ${guest.name} --to ${other}${inLab(flags.lab)}\n`);
  }
};
